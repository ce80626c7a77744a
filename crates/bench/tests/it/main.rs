//! Runs the whole program small: against its baselines always, against the server where its binary is there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str], work: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset-bench"));
    command.args(["main-path", "--tiny", "--json", "--work"]).arg(work).args(arguments);
    command.output().expect("the program starts")
}

fn report(arguments: &[&str]) -> Value {
    let work = tempfile::tempdir().expect("a directory");
    let output = run(arguments, work.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("audit passed"), "{said}");
    let left = std::fs::read_dir(work.path()).expect("the directory stays").count();
    assert_eq!(left, 0, "data left behind");
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

/// The server of the build that this test belongs to, where it has been built and serves.
fn server() -> Option<PathBuf> {
    let binary = Path::new(env!("CARGO_BIN_EXE_cresset-bench")).with_file_name("cresset");
    let help = Command::new(&binary).args(["serve", "--help"]).output().ok()?;
    String::from_utf8_lossy(&help.stdout).contains("--listen").then_some(binary)
}

#[test]
fn a_tiny_run_of_the_baselines_fills_every_field_and_passes_its_audit() {
    let report = report(&["--baselines-only"]);
    assert_eq!(report["format"], 1);
    for w1 in report["w1"].as_array().expect("W1") {
        for target in ["k", "e", "s"] {
            assert!(w1[target]["creates"].as_u64() > Some(0), "{target}: {w1}");
        }
        assert!(w1["k"]["frame"]["p50_us"].is_number() && w1["ours"].is_null());
    }
    assert_eq!(report["w1"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["w5"].as_array().map(Vec::len), Some(2));
    assert!(report["w7"]["k"]["bytes_per_socket"]["median"].is_number());
    assert!(report["w"]["frames"].as_u64() > Some(0));
    assert!(report["m"][0]["events"].as_u64() > Some(0));
    assert!(report["audit"]["events"].as_u64() > Some(0));
}

#[test]
fn a_tiny_run_of_the_server_passes_its_audit() {
    let Some(binary) = server() else {
        println!("skipped: the server has not been built beside this test");
        return;
    };
    let binary = binary.to_str().expect("a path in UTF-8");
    let report = report(&["--only", "w1,w5,w7", "--server-binary", binary]);
    for w1 in report["w1"].as_array().expect("W1") {
        assert!(w1["ours"]["frame"]["p50_us"].is_number(), "{w1}");
        assert!(w1["ratios"]["server_cpu_per_create"]["median"].is_number(), "{w1}");
    }
    assert!(report["w7"]["ours"]["bytes_per_subscription"]["median"].is_number());
}

#[test]
fn a_server_that_is_not_there_is_an_error_without_figures() {
    let work = tempfile::tempdir().expect("a directory");
    for binary in ["/nonexistent/cresset", "/bin/true"] {
        let output = run(&["--only", "w1", "--server-binary", binary], work.path());
        assert!(!output.status.success() && output.stdout.is_empty(), "{binary}");
    }
}

#[test]
fn a_tiny_match_run_fills_both_parts_and_passes_its_audit() {
    let Some(server) = server() else {
        println!("skipped: the server has not been built beside this test");
        return;
    };
    let engine = server.with_file_name("examples").join("matching");
    let work = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset-bench"));
    command.args(["match", "--tiny", "--json", "--work"]).arg(work.path());
    if !engine.is_file() {
        println!("the engine's part is skipped: its program has not been built");
        command.args(["--only", "server"]);
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let level = &report["server"][0];
    assert_eq!(level["subscriptions"], 1_000);
    assert!(level["growth"]["median"].is_number(), "{level}");
    assert!(level["churn"]["many_per_second"]["median"].as_f64() > Some(0.0), "{level}");
    assert!(level["churn"]["growth"]["median"].is_number(), "{level}");
    assert!(level["grown"]["server_cpu_us"].as_f64() > Some(0.0), "{level}");
    assert!(report["audit"]["events"].as_u64() > Some(0));
    if engine.is_file() {
        let loads = report["engine"]["loads"].as_array().expect("loads");
        assert_eq!(loads.len(), 5);
        assert!(loads.iter().all(|load| load["ns_per_change"].as_u64() > Some(0)));
        assert!(report["engine"]["scan"]["ns_per_change"].as_u64() > Some(0));
    }
}

#[test]
fn a_tiny_delivery_run_fills_every_part_and_passes_its_audit() {
    let Some(server) = server() else {
        println!("skipped: the server has not been built beside this test");
        return;
    };
    let work = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset-bench"));
    command.args(["delivery", "--tiny", "--json", "--work"]).arg(work.path());
    let fills = server.with_file_name("examples").join("fill").is_file();
    if !fills {
        println!("the large store is left out: the program that fills it has not been built");
        command.args(["--only", "w3,w4,w6"]);
    }
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    for (part, bare) in [("w3", "w"), ("w4", "bare")] {
        let levels = report[part].as_array().expect("levels");
        assert_eq!(levels.len(), 2, "{part}");
        for level in levels {
            assert!(level["ours"]["received"].as_u64() > Some(0), "{level}");
            assert!(level[bare]["received"].as_u64() > Some(0), "{level}");
            assert!(level["ratios"]["cpu"]["median"].is_number(), "{level}");
        }
    }
    assert!(report["w4"][1]["with_dead"]["p99_ratio"]["median"].is_number());
    assert!(report["w6"]["acknowledged"].as_u64() > Some(0));
    assert!(report["audit"]["events"].as_u64() > Some(0));
    if fills {
        assert!(report["restart"]["first_notification_seconds"]["median"].is_number());
        assert!(report["restart"]["bytes_per_subscription"].is_number());
        assert_eq!(report["w10"]["events"], 1_000);
        assert!(report["w10"]["resuming"]["p99_ratio"]["median"].is_number());
    }
}

#[test]
fn a_tiny_rest_run_finds_what_it_must_at_each_size() {
    let Some(server) = server() else {
        println!("skipped: the server has not been built beside this test");
        return;
    };
    let work = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset-bench"));
    command.args(["rest", "--tiny", "--json", "--server-binary"]).arg(server);
    let output = command.arg("--work").arg(work.path()).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let levels = report["levels"].as_array().expect("levels");
    assert_eq!(levels.len(), 2);
    for level in levels {
        let requests = level["requests"].as_array().expect("requests");
        assert_eq!(requests.len(), 7);
        for request in requests {
            assert!(request["per_second"]["median"].as_f64() > Some(0.0), "{request}");
            assert!(request["server_cpu_ms_per_1000"]["median"].is_number(), "{request}");
        }
    }
    assert_eq!(report["goals"].as_array().map(Vec::len), Some(5));
}
