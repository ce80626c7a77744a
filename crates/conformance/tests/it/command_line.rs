//! `cresset tail`, `receive`, `check`, `subscription`, `export` and `import` against the real server, and `tail`
//! against one that lies; and the examples of the client library.

mod liar;

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use cresset_conformance::{
    Client, Detour, Filter, Options, Server, Subscribe, Version, cresset, example, patient, until,
    verifies,
};
use serde_json::{Value, json};

use liar::Liar;

const TOPIC: &str = "http://cresset.test/topics/patient-any";
const KEY: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A command that runs, and the lines it has written so far; it is killed when dropped.
struct Running {
    child: Child,
    out: Lines,
    err: Lines,
}

type Lines = Arc<Mutex<Vec<String>>>;

fn lines(of: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let kept = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(of).lines().map_while(Result::ok) {
            kept.lock().expect("no panic").push(line);
        }
    });
    lines
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        Self::of(cresset(arguments))
    }

    fn of(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let out = lines(child.stdout.take().expect("piped"));
        let err = lines(child.stderr.take().expect("piped"));
        Self { child, out, err }
    }

    fn out(&self) -> Vec<String> {
        self.out.lock().expect("no panic").clone()
    }

    /// The rest of the first line on standard error that begins so.
    async fn told(&self, prefix: &str) -> String {
        until(&format!("it says {prefix:?}"), || async {
            let lines = self.err.lock().expect("no panic").clone();
            lines.iter().find_map(|line| line.strip_prefix(prefix).map(str::to_owned))
        })
        .await
    }

    /// The numbers of the events that it has printed as JSON, once there are so many.
    async fn numbers(&self, count: usize) -> Vec<u64> {
        until(&format!("it prints {count} events"), || async {
            let numbers: Vec<u64> = self.out().iter().map(|line| event(line)).collect();
            (numbers.len() >= count).then_some(numbers)
        })
        .await
    }

    /// The rest of the first line on standard output that begins so.
    async fn printed(&self, prefix: &str) -> String {
        until(&format!("it prints {prefix:?}"), || async {
            self.out().iter().find_map(|line| line.strip_prefix(prefix).map(str::to_owned))
        })
        .await
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGINT was not sent");
    }

    async fn ended(&mut self) -> i32 {
        let child = &mut self.child;
        let status = until("the command ends", || {
            std::future::ready(child.try_wait().expect("the process is ours"))
        })
        .await;
        status.code().expect("an exit code")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is as good.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- out {:#?}\n--- err {:#?}", self.out, self.err);
        }
    }
}

fn event(line: &str) -> u64 {
    let json: Value = serde_json::from_str(line).expect("a line of JSON");
    json["event"].as_u64().unwrap_or_else(|| panic!("no event: {line}"))
}

/// Runs a command to its end.
async fn run(arguments: &[&str]) -> (i32, String) {
    let mut command = cresset(arguments);
    let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let output = ran.expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("an exit code"), text + &err)
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_misses_no_event_of_a_server_that_is_killed_in_between() {
    verifies!("RQ-CH-42", "RQ-CH-44", "RQ-OP-23");
    for version in Version::ALL {
        let detour = Detour::start().await;
        let address = format!("http://{}", detour.address());
        let options = Options::default().set("server.base-url", address.clone());
        let mut server = Server::start_with(options).await;
        detour.lead_to(address_of(&server));
        let base = format!("{address}/{version}");
        let arguments = ["tail", "--server", &base, "--topic", TOPIC, "--json", "--count", "7"];
        let mut tail = Running::start(&arguments);
        let id = tail.told("subscription ").await;
        tail.told("connected").await;
        let direct = at(&server, version);
        save(&direct, 0..2).await;
        tail.numbers(2).await;
        detour.lead_to(None);
        server.kill();
        server.start_again().await;
        let direct = at(&server, version);
        // Nobody listens now; the commands finds its way only after that.
        save(&direct, 2..6).await;
        detour.lead_to(address_of(&server));
        assert_eq!(tail.numbers(6).await, [1, 2, 3, 4, 5, 6]);
        save(&direct, 6..7).await;
        assert_eq!(tail.numbers(7).await, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(tail.ended().await, 0);
        let gone = direct.get(&format!("Subscription/{id}")).await;
        assert!(matches!(gone.status, 404 | 410), "{gone}");
    }
}

/// A client that takes no detour.
fn at(server: &Server, version: Version) -> Client {
    server.base(version)
}

fn address_of(server: &Server) -> Option<std::net::SocketAddr> {
    server.url().strip_prefix("http://").and_then(|address| address.parse().ok())
}

async fn save(base: &Client, ids: std::ops::Range<usize>) {
    for id in ids {
        base.save(&patient(&format!("p{id}"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_tail_and_deletes_its_subscription_unless_it_is_to_be_kept() {
    let server = Server::start().await;
    for base in server.bases() {
        for keep in [false, true] {
            let mut arguments = vec!["tail", "--server", &base.url, "--topic", TOPIC];
            if keep {
                arguments.push("--keep");
            }
            let mut tail = Running::start(&arguments);
            let id = tail.told("subscription ").await;
            tail.told("connected").await;
            tail.interrupt();
            assert_eq!(tail.ended().await, 0);
            let read = base.get(&format!("Subscription/{id}")).await;
            assert_eq!(read.status == 200, keep, "{read}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_begins_behind_any_event_and_refuses_a_topic_that_is_not_offered() {
    let server = Server::start().await;
    let base = server.base(Version::R5);
    let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
    save(&base, 0..5).await;
    let arguments = ["tail", "--server", &base.url, "--subscription", &id];
    let more = ["--after", "2", "--count", "3", "--json"];
    let (code, out) = run(&[&arguments[..], &more[..]].concat()).await;
    let numbers: Vec<u64> = out.lines().filter(|line| line.starts_with('{')).map(event).collect();
    assert_eq!((code, numbers), (0, vec![3, 4, 5]), "{out}");
    let (code, out) = run(&["tail", "--server", &base.url, "--topic", "http://none"]).await;
    assert!(code == 1 && out.contains("does not offer") && out.contains(TOPIC), "{out}");
    let (code, out) = run(&["tail", "--server", "http://127.0.0.1:1", "--topic", TOPIC]).await;
    assert!(code == 1 && out.contains("did not answer"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lies_about_numbers_ends_a_tail_with_an_exit_code_of_its_own() {
    let liar = Liar::start().await;
    let mut tail = Running::start(&["tail", "--server", liar.base(), "--topic", TOPIC, "--json"]);
    assert_eq!(tail.ended().await, 4);
    assert_eq!(tail.numbers(1).await, [1], "what was true is shown");
    assert_eq!((liar.asked_for_events(), liar.deleted()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn receive_verifies_and_prints_notifications_and_fails_when_told_to() {
    verifies!("RQ-SS-13");
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    std::fs::write(&keys, format!("{KEY}\n")).expect("a file");
    let keys = keys.display().to_string();
    let options = Options::default().set("delivery.signing-keys", vec![KEY]);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let arguments = ["receive", "--listen", "127.0.0.1:0", "--json", "--key-file", &keys];
        let mut receive = Running::start(&[&arguments[..], &["--count", "2"]].concat());
        let endpoint = receive.told("listening on ").await;
        base.subscribe(&Subscribe::rest_hook(TOPIC, &endpoint)).await;
        until("the handshake is printed", || async { (!receive.out().is_empty()).then_some(()) })
            .await;
        let unsigned = base.request(reqwest::Method::POST, &endpoint).body("{}").send().await;
        assert_eq!(unsigned.status, 401);
        save(&base, 0..1).await;
        assert_eq!(receive.ended().await, 0);
        let printed = until("both are printed", || async {
            let out = receive.out();
            (out.len() == 2).then_some(out)
        })
        .await;
        let printed: Vec<Value> =
            printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(printed[0]["type"], "handshake");
        assert_eq!(printed[1]["events"], json!([1]));
        assert!(printed[1]["message"].is_string(), "{printed:?}");
        base.remove("Patient/p0").await;

        let arguments = ["receive", "--listen", "127.0.0.1:0", "--fail", "100%"];
        let failing = Running::start(&arguments);
        let endpoint = failing.told("listening on ").await;
        let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &endpoint)).await;
        base.wait_for_status(&id, "error").await;
        assert!(failing.out().iter().all(|line| line.starts_with("503 ")), "{:?}", failing.out());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_nothing_wrong_with_this_server_and_leaves_nothing_behind() {
    let server = Server::start().await;
    for base in server.bases() {
        for write in [false, true] {
            let mut arguments = vec!["check", &base.url, "--json"];
            if write {
                arguments.extend(["--write", "--topic", TOPIC]);
            }
            let (code, out) = run(&arguments).await;
            let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}"));
            let findings = report["findings"].as_array().expect("findings");
            let conform = findings.iter().filter(|one| one["verdict"] == "conforms").count();
            assert_eq!((code, conform), (0, findings.len()), "{report:#}");
            assert!(findings.len() > if write { 15 } else { 7 }, "{report:#}");
        }
        assert_eq!(base.read("Subscription").await["entry"], Value::Null, "nothing is left");
    }
    let (code, out) = run(&["check", server.url()]).await;
    assert_eq!(code, 1, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_check_and_deletes_its_subscription() {
    let liar = Liar::start().await;
    let mut check = Running::start(&["check", liar.base(), "--write", "--topic", TOPIC]);
    until("it looks at its subscription", || async { (liar.asked_for_status() > 0).then_some(()) })
        .await;
    check.interrupt();
    assert_eq!(check.ended().await, 1);
    assert_eq!(liar.deleted(), 3, "also the two that should have been refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_listed_shown_and_turned_off() {
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        base.wait_for_status(&id, "active").await;
        save(&base, 0..2).await;
        let subscription = |verb: &'static str| ["subscription", verb, "--server", &base.url];
        let (code, out) = run(&subscription("list")).await;
        assert!(code == 0 && out.contains(&format!("{id} active websocket {TOPIC}")), "{out}");
        let (_, out) = run(&[&subscription("list")[..], &["--status", "off"]].concat()).await;
        assert_eq!(out, "");
        let (_, out) = run(&[&subscription("show")[..], &[id.as_str(), "--json"]].concat()).await;
        let shown: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(shown["eventsSinceSubscriptionStart"], 2, "{shown}");
        let (code, out) = run(&[&subscription("resend")[..], &[id.as_str()]].concat()).await;
        assert!(code == 1 && out.contains("422"), "nothing was sent yet: {out}");
        let (code, _) = run(&[&subscription("off")[..], &[id.as_str()]].concat()).await;
        assert_eq!((code, base.status(&id).await.status), (0, "off".to_owned()));
        let (code, out) = run(&[&subscription("show")[..], &["none"]].concat()).await;
        assert!(code == 1 && out.contains("404"), "{out}");
        for id in 0..2 {
            base.remove(&format!("Patient/p{id}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_version_has_no_form_for_is_exported_listed_and_refused() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("exported").display().to_string();
    let from = server.base(Version::R4);
    let query = json!({
        "resourceType": "Subscription", "status": "requested", "reason": "a test",
        "criteria": "Encounter?status=in-progress", "channel": {"type": "websocket"},
    });
    let query = from.create(&query).await["id"].as_str().expect("an id").to_owned();
    let off = from.subscribe(&Subscribe::websocket(TOPIC).status("off")).await;
    let (code, out) = run(&["subscription", "list", "--server", &from.url]).await;
    assert!(code == 0 && out.contains(&format!("{query} active is no subscription")), "{out}");
    let (code, out) = run(&["export", "--server", &from.url, "--output", &file]).await;
    assert_eq!(code, 0, "{out}");
    for (version, more, expect) in [
        (Version::R4B, None, (0, 1)),
        (Version::R4B, Some("--off"), (0, 2)),
        (Version::R5, None, (2, 0)),
    ] {
        let options = Options::untouched().set("topics.bundled", false);
        let other = Server::start_with(options).await;
        let to = other.base(version);
        let mut arguments = vec!["import", "--server", &to.url, &file];
        arguments.extend(more);
        let (code, out) = run(&arguments).await;
        let active = to.read("Subscription?status=active").await["total"].as_u64();
        assert_eq!((code, active), (expect.0, Some(expect.1)), "{version}: {out}");
        let left_out = out.contains(&format!("Subscription/{off}: left out"));
        assert_eq!(left_out, more.is_none(), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_subscriptions_move_between_servers_of_all_versions() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    for from in server.bases() {
        let asked = Subscribe::websocket(TOPIC).heartbeat_period(60);
        // The same two filters, of which one has a value with an ampersand: in R4 and R4B as one text.
        let asked = match from.version {
            Version::R4 | Version::R4B => {
                asked.filter(Filter::new("family", "Mark%2CA%26gender=male&_id=p0").of("Patient"))
            }
            Version::R5 => asked
                .filter(Filter::new("family", "Mark,A&gender=male").of("Patient"))
                .filter(Filter::new("_id", "p0")),
        };
        from.subscribe(&asked).await;
        let file = folder.path().join(from.version.path()).display().to_string();
        let (code, out) = run(&["export", "--server", &from.url, "--output", &file]).await;
        assert_eq!(code, 0, "{out}");
        for version in Version::ALL {
            let options = Options::untouched().set("topics.bundled", false);
            let other = Server::start_with(options).await;
            let to = other.base(version);
            let (code, out) = run(&["import", "--server", &to.url, &file]).await;
            assert_eq!(code, 0, "{from:?} to {version}: {out}");
            let (_, out) = run(&["subscription", "list", "--server", &to.url]).await;
            assert!(out.contains(TOPIC), "{out}");
            save(&to, 0..2).await;
            let (_, out) = run(&["subscription", "list", "--server", &to.url, "--json"]).await;
            let list: Value = serde_json::from_str(&out).expect("JSON");
            let id = list[0]["id"].as_str().expect("an id");
            assert_eq!(to.count(id).await, 1, "topic and filters work there: {list:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_librarys_example_listens_and_deletes_its_subscription_on_ctrl_c() {
    let server = Server::start().await;
    for base in server.bases() {
        let mut listen = Running::of(example("listen", &[&base.url, TOPIC]));
        listen.printed("Connected").await;
        save(&base, 0..2).await;
        for number in ["1 ", "2 "] {
            let focus = listen.printed(number).await;
            assert!(focus.contains("Patient/p"), "{focus}");
        }
        listen.interrupt();
        assert_eq!(listen.ended().await, 0);
        assert_eq!(base.read("Subscription").await["entry"], Value::Null, "nothing is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_librarys_example_receives_what_is_signed() {
    let options = Options::default().set("delivery.signing-keys", vec![KEY]);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let receive = Running::of(example("receive", &["127.0.0.1:0", KEY]));
        let endpoint = receive.printed("listening on ").await;
        let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &endpoint)).await;
        base.wait_for_status(&id, "active").await;
        save(&base, 0..2).await;
        for number in ["event 1", "event 2"] {
            receive.printed(number).await;
        }
        let unsigned = base.request(reqwest::Method::POST, &endpoint).body("{}").send().await;
        assert_eq!(unsigned.status, 401);
    }
}
