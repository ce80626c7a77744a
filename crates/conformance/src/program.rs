//! Programs of others that the test command has installed (`cargo xtask test`): run with a deadline.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::Version;
use crate::server::binary;
use crate::verifies::asked;
use crate::wait::{PATIENCE, until_within};

/// What Schemathesis looks at in each answer. Not whether what the description forbids is refused,
/// and what it allows is taken: it knows less of FHIR than the server.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,unsupported_method";

/// Runs a script of `clients/npm` with Node; gives what it prints.
///
/// # Panics
/// If it fails, or does not end in time.
pub async fn node(script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("node");
    // A websocket as browsers have it, which later versions have without being asked.
    command.args(["--experimental-websocket", "--no-warnings"]);
    command.arg(scripts().join("npm").join(script)).args(arguments);
    command.env("NODE_PATH", installed().join("npm/node_modules"));
    asks(arguments);
    output(command, script, PATIENCE).await
}

/// Runs Medplum's client, which knows of a server nothing but the base of R4, under a path that is
/// built into it; gives what it prints.
///
/// # Panics
/// If it fails, or does not end in time.
pub async fn medplum(server: &str) -> String {
    asked(Version::R4);
    node("medplum.cjs", &[&format!("{server}/")]).await
}

/// Runs a script of `clients/python`; gives what it prints.
///
/// # Panics
/// If it fails, or does not end in time.
pub async fn python(script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(installed().join("python/bin/python"));
    command.arg(scripts().join("python").join(script)).args(arguments);
    asks(arguments);
    output(command, script, PATIENCE).await
}

/// Has Schemathesis make requests of an OpenAPI description, so many of each operation, the same in
/// every run; gives what it prints.
///
/// # Panics
/// If an answer is an error of the server's, or none that is described, or if it takes longer.
pub async fn schemathesis(description: &str, requests_max: u32, time_max: Duration) -> String {
    let mut command = Command::new(installed().join("python/bin/python"));
    command.args(["-m", "schemathesis.cli", "run", description]);
    command.args(["--generation-deterministic", "--phases", "coverage,fuzzing", "--no-shrink"]);
    command.args(["--suppress-health-check", "all", "--continue-on-failure"]);
    command.args(["--max-examples", &requests_max.to_string(), "--checks", CHECKS]);
    command.env("SCHEMATHESIS_HOOKS", "requests_hooks").env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("PYTHONPATH", scripts().join("python"));
    asks(&[description]);
    output(command, "schemathesis", time_max).await
}

/// A page in Chromium without a window; closed when dropped.
pub struct Chromium {
    _running: Running,
    /// What the browser writes down of itself.
    _profile: TempDir,
}

impl Chromium {
    /// Opens a page.
    ///
    /// # Panics
    /// If Chromium is missing.
    pub fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let child = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-port=0", url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts; `cargo xtask test` installs it");
        Self { _running: Running(child), _profile: profile }
    }
}

/// Where the test command installs clients of others.
fn installed() -> PathBuf {
    let binary = binary();
    binary.ancestors().nth(2).expect("target/<profile>/cresset").join("clients")
}

/// Where their scripts are.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// A process that does not outlive the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Notes that a program asks the bases whose URLs are among its arguments.
fn asks(arguments: &[&str]) {
    let parts = || arguments.iter().flat_map(|argument| argument.split('/'));
    let is_named = |version: &Version| parts().any(|part| part == version.to_string());
    Version::ALL.into_iter().filter(is_named).for_each(asked);
}

async fn output(mut command: Command, name: &str, time_max: Duration) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [out, err] = ["out", "err"].map(|name| folder.path().join(name));
    let file = |path: &Path| File::create(path).expect("a temporary file");
    // Some leave files where they are run.
    command.current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err));
    let started = command.spawn();
    let mut child = Running(started.unwrap_or_else(|error| {
        panic!("{name} cannot be run ({error}); `cargo xtask test` installs what it needs")
    }));
    let what = format!("{name} ends");
    let ended = || std::future::ready(child.0.try_wait().expect("the process is ours"));
    let status = until_within(time_max, &what, ended).await;
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    assert!(status.success(), "{name}: {}\n{}", text(&err), text(&out));
    text(&out)
}
