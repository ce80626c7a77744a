//! A NATS server that is not ours: Debian's, with JetStream in a temporary folder.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wait::until;

/// The stream that the tests read.
const STREAM: &str = "NOTIFICATIONS";

/// A running server; its process is killed when dropped.
pub struct NatsServer {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    client: Option<async_nats::Client>,
    seen: u64,
}

/// A message as it lies in the stream.
#[derive(Debug, Clone)]
pub struct NatsMessage {
    /// Its subject.
    pub subject: String,
    /// Names and values of its headers.
    pub headers: Vec<(String, String)>,
    /// What it tells.
    pub value: String,
}

impl NatsMessage {
    /// The value of a header, which it must have once.
    ///
    /// # Panics
    /// If it has none or several.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(one, _)| one == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => value,
            other => panic!("{name}: {other:?} in {:?}", self.headers),
        }
    }
}

impl NatsServer {
    /// Starts one on a free port and connects to it.
    ///
    /// # Panics
    /// If `nats-server` is missing (`cargo xtask test` installs it).
    pub async fn start() -> Self {
        let mut server = Self::launch_with("").await;
        let url = format!("nats://{}", server.address);
        server.client = Some(async_nats::connect(url).await.expect("a connection"));
        server
    }

    /// Starts one with more configuration; the test connects to it.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn launch_with(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("config"), config).expect("a file");
        let child = launch(folder.path(), "-1");
        let path = folder.path().join(format!("nats-server_{}.ports", child.id()));
        let address = until("the NATS server listens", || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let json: Value = serde_json::from_str(&text).unwrap_or_default();
            let url = json["nats"][0].as_str().and_then(|url| url.split("//").nth(1));
            std::future::ready(url.and_then(|address| address.parse().ok()))
        })
        .await;
        Self { child, folder, address, client: None, seen: 0 }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Uses a connection that the test has made.
    pub fn connected(&mut self, client: async_nats::Client) {
        self.client = Some(client);
    }

    /// Makes the stream, for these subjects and with these further settings.
    ///
    /// # Panics
    /// If JetStream does not make it.
    pub async fn make_stream(&self, subjects: &[&str], settings: &[(&str, Value)]) {
        let mut stream = json!({"name": STREAM, "subjects": subjects, "storage": "file"});
        for (name, value) in settings {
            stream[*name] = value.clone();
        }
        let told = self.ask(&format!("$JS.API.STREAM.CREATE.{STREAM}"), &stream).await;
        let told = told.expect("JetStream answers");
        assert!(told.get("error").is_none(), "{told}");
    }

    /// The next message of the stream, in the order in which they were stored.
    pub async fn next(&mut self) -> NatsMessage {
        self.seen += 1;
        let (server, sequence) = (&*self, json!({"seq": self.seen}));
        let subject = format!("$JS.API.STREAM.MSG.GET.{STREAM}");
        until("a message in the stream", || async {
            let told = server.ask(&subject, &sequence).await?;
            Some(opened(told.get("message")?))
        })
        .await
    }

    async fn ask(&self, subject: &str, question: &Value) -> Option<Value> {
        let client = self.client.as_ref().expect("a connection");
        let question = question.to_string();
        let answer = client.request(subject.to_owned(), question.into()).await.ok()?;
        serde_json::from_slice(&answer.payload).ok()
    }

    /// Ends it with SIGKILL.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("the process is ours");
    }

    /// Starts it again, on the same port and with what it has stored.
    pub fn start_again(&mut self) {
        self.child = launch(self.folder.path(), &self.address.port().to_string());
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn launch(folder: &Path, port: &str) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("a file");
    Command::new("nats-server")
        .args(["--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir"])
        .arg(folder.join("store"))
        .arg("--ports_file_dir")
        .arg(folder)
        .arg("--config")
        .arg(folder.join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("nats-server; cargo xtask test installs it")
}

fn opened(message: &Value) -> NatsMessage {
    let text = |name: &str| {
        let coded = message[name].as_str().unwrap_or_default();
        String::from_utf8(STANDARD.decode(coded).expect("base64")).expect("UTF-8")
    };
    let headers = text("hdrs");
    // Behind the line with the protocol's version.
    let headers = headers.lines().skip(1).filter_map(|line| line.split_once(": "));
    NatsMessage {
        subject: message["subject"].as_str().expect("a subject").to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        value: text("data"),
    }
}
