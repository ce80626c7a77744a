//! A relay for mails: a real SMTP server in a process of its own, and what it has taken.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::notification::Notification;
use crate::server::{Options, fixtures};
use crate::version::Version;
use crate::wait::until;

/// Debian's, which sees Debian's packages.
const PYTHON: &str = "/usr/bin/python3";
/// Where links in mails seem to lead; tests ask the server itself.
pub const LINK_BASE_URL: &str = "https://links.test";
const USER: &str = "cresset";
const PASSWORD: &str = "smtp-s3cr3t";

/// A relay on a free port of loopback; its process is killed when dropped.
pub struct Relay {
    child: Child,
    folder: TempDir,
    security: &'static str,
    port: u16,
    read: Mutex<HashSet<PathBuf>>,
}

/// A mail that the relay has taken, as another program reads it.
#[derive(Debug, Clone)]
pub struct TakenMail {
    /// Everything about it.
    pub json: Value,
}

impl Relay {
    /// Starts one with `starttls`, `tls` or `plain`, and a certificate of an authority of its own.
    ///
    /// # Panics
    /// If Debian's package python3-aiosmtpd is missing.
    pub async fn start(security: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_certificates(&folder);
        fs::create_dir(folder.path().join("mails")).expect("a folder for mails");
        let mut child = Command::new(PYTHON)
            .arg(fixtures().join("smtp/relay.py"))
            .arg(folder.path().join("mails"))
            .arg(security)
            .args(["relay.pem", "relay.key"].map(|name| folder.path().join(name)))
            .args([USER, PASSWORD])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let stdout = child.stdout.take().expect("piped");
        let port = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        let line = port.await.expect("a task").expect("what the relay prints");
        let port = line.trim().parse();
        let port = port.expect("the relay prints its port; is python3-aiosmtpd installed?");
        Self { child, folder, security, port, read: Mutex::default() }
    }

    /// The options of a server that sends its mails through this relay.
    pub fn options(&self) -> Options {
        let options = Options::default()
            .set("email.relay", "localhost")
            .set("email.port", i64::from(self.port))
            .set("email.security", self.security)
            .set("email.from", "Cresset <notifications@cresset.test>")
            .set("email.link-base-url", LINK_BASE_URL)
            .set("email.heartbeat-min", "1s");
        if self.security == "plain" {
            return options;
        }
        let ca = self.folder.path().join("ca.pem").display().to_string();
        options
            .set("email.extra-ca-files", vec![ca])
            .set("email.username", USER)
            .set("email.password", PASSWORD)
    }

    /// The certificate of its authority in PEM form.
    ///
    /// # Panics
    /// If the file is gone.
    pub fn authority(&self) -> String {
        fs::read_to_string(self.folder.path().join("ca.pem")).expect("a file of ours")
    }

    /// All mails for an address so far, in the order they were taken.
    pub fn all(&self, address: &str) -> Vec<TakenMail> {
        self.taken().into_iter().map(|(_, mail)| mail).filter(|mail| mail.is_for(address)).collect()
    }

    /// The next mail for an address that was not asked for yet.
    ///
    /// # Panics
    /// If there is none in time, or it has defects.
    pub async fn next(&self, address: &str) -> TakenMail {
        let what = format!("a mail for {address}");
        let mail = until(&what, || std::future::ready(self.unread(address))).await;
        assert_eq!(mail.json["defects"], serde_json::json!([]), "{mail:?}");
        mail
    }

    fn unread(&self, address: &str) -> Option<TakenMail> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mails = self.taken().into_iter();
        let (path, mail) =
            mails.find(|(path, mail)| !read.contains(path) && mail.is_for(address))?;
        read.insert(path);
        Some(mail)
    }

    fn taken(&self) -> Vec<(PathBuf, TakenMail)> {
        let files = fs::read_dir(self.folder.path().join("mails")).expect("a folder of ours");
        let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        files.sort_unstable();
        let read = |path: PathBuf| {
            let text = fs::read(&path).expect("a file of ours");
            let json = serde_json::from_slice(&text).expect("JSON");
            (path, TakenMail { json })
        };
        files.into_iter().map(read).collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Already ended is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl TakenMail {
    fn is_for(&self, address: &str) -> bool {
        self.json["to"] == serde_json::json!([address])
    }

    /// The values of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let headers = self.json["headers"].as_array().into_iter().flatten();
        headers
            .filter(|one| one[0].as_str().is_some_and(|it| it.eq_ignore_ascii_case(name)))
            .filter_map(|one| one[1].as_str())
            .collect()
    }

    /// The only value of a header.
    ///
    /// # Panics
    /// If there is not exactly one.
    pub fn header(&self, name: &str) -> &str {
        let values = self.headers(name);
        assert_eq!(values.len(), 1, "{name} in {:?}", self.json["headers"]);
        values[0]
    }

    /// The body, decoded.
    pub fn body(&self) -> &str {
        self.json["body"].as_str().expect("a body")
    }

    /// All bytes that travelled.
    pub fn raw(&self) -> &str {
        self.json["raw"].as_str().expect("text")
    }

    /// The attachments: type, decoded text.
    pub fn attachments(&self) -> Vec<(&str, &str)> {
        let all = self.json["attachments"].as_array().into_iter().flatten();
        all.map(|one| (one["type"].as_str().expect("text"), one["text"].as_str().expect("text")))
            .collect()
    }

    /// The attached notification.
    ///
    /// # Panics
    /// If there is none, or it breaks a rule of notifications.
    pub fn notification(&self, version: Version) -> Notification {
        let attachments = self.attachments();
        assert_eq!(attachments.len(), 1, "one attachment");
        let json = serde_json::from_str(attachments[0].1).expect("JSON");
        Notification::read(version, &json)
    }

    /// The path of the link in the body that leads to this page, such as `/email/confirm`.
    ///
    /// # Panics
    /// If there is none.
    pub fn link(&self, page: &str) -> String {
        let start = format!("{LINK_BASE_URL}{page}/");
        let at = self.body().find(&start).unwrap_or_else(|| panic!("{page} in {}", self.body()));
        let rest = &self.body()[at + LINK_BASE_URL.len()..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '<'));
        rest[..end.unwrap_or(rest.len())].to_owned()
    }
}

fn write_certificates(folder: &TempDir) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    for (name, text) in [
        ("ca.pem", issuer.pem()),
        ("relay.pem", certificate.pem()),
        ("relay.key", key.serialize_pem()),
    ] {
        fs::write(folder.path().join(name), text).expect("a file of ours");
    }
}
