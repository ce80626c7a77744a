//! A Kafka cluster that is not ours: the one that librdkafka, the reference client in C, has for
//! tests of its own, with librdkafka's consumer reading along. Both are in Debian's `kcat`.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::wait::until;

/// What librdkafka logs before the address of its cluster.
const ADDRESS: &str = "bootstrap.servers=";

/// A running cluster and a consumer of one topic; its process is killed when dropped.
pub struct KafkaCluster {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    seen: usize,
}

/// A record as the consumer read it.
#[derive(Debug, Clone)]
pub struct KafkaRecord {
    /// Its key.
    pub key: String,
    /// The partition that it lies in.
    pub partition: i64,
    /// Names and values of its headers.
    pub headers: Vec<(String, String)>,
    /// What it tells.
    pub value: String,
}

impl KafkaRecord {
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

impl KafkaCluster {
    /// Starts one, with a consumer of this topic, and waits until it listens.
    ///
    /// # Panics
    /// If `kcat` is missing (`cargo xtask test` installs it).
    pub async fn start(topic: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name| File::create(folder.path().join(name)).expect("a file");
        let child = Command::new("kcat")
            .args(["-C", "-t", topic, "-o", "beginning", "-u", "-J", "-b", "unused"])
            .args(["-d", "mock", "-X", "test.mock.num.brokers=1"])
            .stdin(Stdio::null())
            .stdout(file("records"))
            .stderr(file("log"))
            .spawn()
            .expect("kcat; cargo xtask test installs it");
        let log = folder.path().join("log");
        let address = until("the cluster listens", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let address = text.split(ADDRESS).nth(1).and_then(|rest| rest.lines().next());
            std::future::ready(address.and_then(|address| address.trim().parse().ok()))
        })
        .await;
        Self { child, folder, address, seen: 0 }
    }

    /// Where its broker listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next record, in the order in which the consumer read them.
    pub async fn next(&mut self) -> KafkaRecord {
        let path = self.folder.path().join("records");
        let seen = self.seen;
        let line = until("a record", || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            std::future::ready(whole.lines().nth(seen).map(str::to_owned))
        })
        .await;
        self.seen += 1;
        let json: Value = serde_json::from_str(&line).expect("JSON");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let headers: Vec<String> =
            json["headers"].as_array().expect("headers").iter().map(text).collect();
        KafkaRecord {
            key: text(&json["key"]),
            partition: json["partition"].as_i64().expect("a number"),
            headers: headers.chunks(2).map(|two| (two[0].clone(), two[1].clone())).collect(),
            value: text(&json["payload"]),
        }
    }

    /// Ends it with SIGKILL; what it held is gone.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("the process is ours");
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
