//! The server under test: its own process, with a folder of its own.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;
use toml::{Table, Value};

use crate::client::Client;
use crate::version::Version;
use crate::wait::until;
use crate::wire;

/// What the binary prints when it serves, before its address.
const LISTENING: &str = "listening on ";
/// Log lines shown when a test fails.
const LOG_LINES_MAX: usize = 60;

/// How the server is configured.
#[derive(Debug, Clone)]
pub struct Options {
    config: Table,
    topics: Option<PathBuf>,
    allow_local_endpoints: bool,
    demo: bool,
    crash_at: Option<String>,
}

impl Default for Options {
    /// Small delays, and the topics of `fixtures/topics`.
    fn default() -> Self {
        let mut options = Self {
            config: Table::new(),
            topics: Some(fixtures().join("topics")),
            allow_local_endpoints: true,
            demo: false,
            crash_at: None,
        };
        for (key, value) in [
            ("server.shutdown-grace", "5s"),
            ("subscriptions.heartbeat-min", "1s"),
            ("rest-hook.handshake-delay", "50ms"),
        ] {
            options = options.set(key, value);
        }
        options
            .set("topics.bundled", false)
            .set("rest-hook.handshake-retry-schedule", vec!["100ms", "200ms"])
            .set("rest-hook.retry-schedule", vec!["100ms", "200ms"])
    }
}

impl Options {
    /// Nothing but what the binary has by itself.
    pub fn untouched() -> Self {
        Self {
            config: Table::new(),
            topics: None,
            allow_local_endpoints: false,
            demo: false,
            crash_at: None,
        }
    }

    /// Sets one key of the configuration, such as `websocket.bind-deadline`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        if key == "validation.level" {
            wire::keep_nothing();
        }
        let (section, key) = key.split_once('.').expect("a section and a key");
        let section = self.config.entry(section).or_insert_with(|| Table::new().into());
        let section = section.as_table_mut().expect("sections are tables");
        section.insert(key.to_owned(), value.into());
        self
    }

    /// Loads the topics of another folder.
    #[must_use]
    pub fn topics(mut self, folder: impl Into<PathBuf>) -> Self {
        self.topics = Some(folder.into());
        self
    }

    /// Without `--allow-local-endpoints`.
    #[must_use]
    pub fn without_local_endpoints(mut self) -> Self {
        self.allow_local_endpoints = false;
        self
    }

    /// With `--demo`.
    #[must_use]
    pub fn demo(mut self) -> Self {
        self.demo = true;
        self
    }

    /// Has the server die at a named point of its code, such as `writer.appended:3` for its third
    /// pass, until this is called again.
    pub fn crash_at(&mut self, point: Option<String>) {
        self.crash_at = point;
    }

    /// Sets a key of the client that was added last.
    #[must_use]
    pub fn of_client(mut self, key: &str, value: impl Into<Value>) -> Self {
        let clients = self.config["auth"]["client"].as_array_mut().expect("clients");
        let last = clients.last_mut().and_then(Value::as_table_mut).expect("a client");
        last.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a client with a token and these rights, and switches authentication on.
    #[must_use]
    pub fn client(mut self, name: &str, token: &str, rights: &[&str]) -> Self {
        self = self.set("auth.mode", "tokens");
        let mut client = Table::new();
        client.insert("name".to_owned(), name.into());
        client.insert("token-sha256".to_owned(), hash_of(token).into());
        client.insert("rights".to_owned(), rights.to_vec().into());
        let auth = self.config["auth"].as_table_mut().expect("set above");
        let clients = auth.entry("client").or_insert_with(|| Value::Array(Vec::new()));
        clients.as_array_mut().expect("a list").push(client.into());
        self
    }
}

/// A running server; its process is killed when dropped.
pub struct Server {
    child: Child,
    folder: TempDir,
    options: Options,
    url: String,
    starts: usize,
}

impl Server {
    /// Starts one with the default options of the tests.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts one with an empty data folder, and waits until it serves.
    ///
    /// # Panics
    /// If the binary is missing, or does not serve in time.
    pub async fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let child = launch(folder.path(), &options, 0);
        let mut server = Self { child, folder, options, url: String::new(), starts: 0 };
        server.wait_until_it_serves().await;
        server
    }

    /// Ends it with SIGKILL, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server's process is ours");
        self.child.wait().expect("the server's process is ours");
    }

    /// Starts it again on the same data; it has another port then.
    pub async fn start_again(&mut self) {
        self.launch_again();
        self.wait_until_it_serves().await;
    }

    /// As [`Self::start_again`], for a server that may die before it serves.
    ///
    /// # Errors
    /// How it ended, if it did.
    pub async fn try_start_again(&mut self) -> Result<(), ExitStatus> {
        self.launch_again();
        self.serves().await
    }

    /// As [`Self::start_again`], without waiting until it serves.
    pub fn launch_again(&mut self) {
        self.starts += 1;
        self.child = launch(self.folder.path(), &self.options, self.starts);
    }

    /// Kills it and starts it again.
    pub async fn restart(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// Changes the options that the next start takes.
    pub fn options(&mut self) -> &mut Options {
        &mut self.options
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let sent = Command::new("kill").args([&signal, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} was not sent");
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the server ends", || {
            std::future::ready(child.try_wait().expect("the server's process is ours"))
        })
        .await
    }

    /// Its URL without a version, and without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client of one base.
    pub fn base(&self, version: Version) -> Client {
        Client::new(version, &self.url)
    }

    /// A client of each base.
    pub fn bases(&self) -> [Client; 3] {
        Version::ALL.map(|version| self.base(version))
    }

    /// What it has logged since its first start.
    pub fn log(&self) -> String {
        let read = |start| fs::read(log_path(self.folder.path(), start)).unwrap_or_default();
        (0..=self.starts).map(|start| String::from_utf8_lossy(&read(start)).into_owned()).collect()
    }

    /// What it has printed since its last start.
    pub fn printed(&self) -> String {
        fs::read_to_string(stdout_path(self.folder.path(), self.starts)).unwrap_or_default()
    }

    /// The command of a second server on the same data.
    pub fn second_on_the_same_data(&self) -> Command {
        command(self.folder.path(), &self.options)
    }

    /// Removes files of the data folder by name while the server is not running; how many.
    pub fn remove_data(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        let mut removed = 0;
        let files = fs::read_dir(self.folder.path().join("data")).expect("a data folder");
        for file in files.flatten() {
            if is_meant(&file.file_name().to_string_lossy()) {
                fs::remove_file(file.path()).expect("a file of ours");
                removed += 1;
            }
        }
        removed
    }

    /// Bytes of memory that are its own (`RssAnon`).
    pub fn memory_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("RssAnon in /proc") * 1024
    }

    async fn wait_until_it_serves(&mut self) {
        if let Err(status) = self.serves().await {
            panic!("the server ended with {status}:\n{}", self.log());
        }
    }

    /// Waits until it serves, or has ended.
    async fn serves(&mut self) -> Result<(), ExitStatus> {
        let path = stdout_path(self.folder.path(), self.starts);
        let child = &mut self.child;
        let url = until("the server prints where it listens", || {
            let printed = fs::read_to_string(&path).unwrap_or_default();
            let line = printed.lines().find_map(|line| line.strip_prefix(LISTENING));
            let url = line.filter(|_| printed.ends_with('\n')).map(|url| url.trim().to_owned());
            let ended = child.try_wait().expect("the server's process is ours");
            std::future::ready(url.map(Ok).or(ended.map(Err)))
        })
        .await?;
        self.url = url.trim_end_matches('/').to_owned();
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is as good.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n");
            eprintln!("--- end of the server's log\n{shown}\n---");
        }
    }
}

/// The folder of committed test data.
pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))
}

/// The binary beside the test that runs: `target/<profile>/cresset`.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the running test");
    let profile = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    let binary = profile.join("cresset");
    assert!(
        binary.exists(),
        "{} is not built: cargo build -p cresset --profile test",
        binary.display()
    );
    binary
}

/// The hash of a token, as the binary's own command tells it.
fn hash_of(token: &str) -> String {
    let mut child = Command::new(binary())
        .args(["token", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cresset token hash");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(token.as_bytes()).expect("a token written");
    drop(stdin);
    let output = child.wait_with_output().expect("cresset token hash");
    let printed: Table = toml::from_str(&String::from_utf8_lossy(&output.stdout))
        .expect("cresset token hash prints TOML");
    printed["token-sha256"].as_str().expect("a hash").to_owned()
}

fn launch(folder: &Path, options: &Options, start: usize) -> Child {
    let config = folder.join("cresset.toml");
    fs::write(&config, options.config.to_string()).expect("a configuration written");
    let mut command = command(folder, options);
    command.stdout(File::create(stdout_path(folder, start)).expect("a file for its output"));
    command.stderr(File::create(log_path(folder, start)).expect("a file for its log"));
    command.spawn().expect("the server's process")
}

/// The binary, for commands other than `serve`, without anything of the tests' environment.
pub fn cresset(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CRESSET_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// An example of the client library, which is built with the tests.
///
/// # Panics
/// If it is not.
pub fn example(name: &str, arguments: &[&str]) -> Command {
    let file = binary().with_file_name("examples").join(name);
    assert!(
        file.exists(),
        "{} is not built: cargo build -p cresset-client --examples --profile test",
        file.display()
    );
    let mut command = Command::new(file);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The command of a server, without what comes of its output.
fn command(folder: &Path, options: &Options) -> Command {
    let mut command = cresset(&["serve", "--listen", "127.0.0.1:0"]);
    command.arg("--config").arg(folder.join("cresset.toml"));
    command.arg("--data").arg(folder.join("data"));
    if let Some(topics) = &options.topics {
        command.arg("--topics").arg(topics);
    }
    if options.allow_local_endpoints {
        command.arg("--allow-local-endpoints");
    }
    if options.demo {
        command.arg("--demo");
    }
    if let Some(point) = &options.crash_at {
        command.env("CRESSET_CRASH_AT", point);
    }
    command.current_dir(folder);
    command
}

fn stdout_path(folder: &Path, start: usize) -> PathBuf {
    folder.join(format!("stdout-{start}"))
}

fn log_path(folder: &Path, start: usize) -> PathBuf {
    folder.join(format!("log-{start}"))
}
