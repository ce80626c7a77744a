//! What the load is put on: the server, and the baselines that stand in for it.
//!
//! The create request and the frames are the same for every target; they differ only in how a subscription comes
//! to be. The server is a black box: its command line, HTTP and websockets.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::baseline;
use crate::baseline::bare_path::WEBSOCKET_PATH;
use crate::http::{Connection, id_in};
use crate::notification::{Notification, Token};
use crate::process::Process;
use crate::socket::EventSocket;

/// How long a server may take to become ready.
const READY_MAX: Duration = Duration::from_secs(30);
/// Between two looks at a server that is not ready yet.
const READY_POLL: Duration = Duration::from_millis(20);
/// The topic of the load.
const TOPIC_URL: &str = "http://cresset.example/SubscriptionTopic/observation-created";
/// Switched off unless the environment says otherwise: the load is measured with one topic.
const BUNDLED_TOPICS: &str = "CRESSET__TOPICS__BUNDLED";
/// Raised unless the environment says otherwise: all subscriptions are of one client.
const SUBSCRIPTIONS_MAX: &str = "CRESSET__LIMITS__SUBSCRIPTIONS_PER_CLIENT_MAX";
/// Beginning of the names of all that configures the server from the environment.
const ENVIRONMENT: &str = "CRESSET";
const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";

/// A subscription with its socket.
#[derive(Debug)]
pub struct Subscriber {
    /// Id of the subscription.
    pub id: String,
    /// The bound socket, after its handshake.
    pub socket: EventSocket,
}

/// A running target.
#[derive(Debug)]
pub struct Target {
    /// Who it is.
    pub kind: Kind,
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    log: Option<PathBuf>,
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Variables that configure it, beside those of the environment.
    pub environment: Vec<(&'static str, String)>,
    /// How long it may take to become ready.
    pub ready_max: Duration,
}

impl Default for Launch {
    fn default() -> Self {
        Self { environment: Vec::new(), ready_max: READY_MAX }
    }
}

/// Which target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A baseline.
    Baseline(baseline::Server),
    /// The server under test: its binary.
    Cresset(PathBuf),
}

impl Target {
    /// Starts a target with its data in `directory`, and waits until it serves.
    ///
    /// # Errors
    /// When it does not start, with what it logged.
    pub async fn start(kind: &Kind, directory: &Path) -> anyhow::Result<Self> {
        Self::launch(kind, directory, &Launch::default()).await
    }

    /// As [`Self::start`], where a server is to be started in its own way. Whatever data are in `directory` are
    /// served on.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn launch(kind: &Kind, directory: &Path, launch: &Launch) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        match kind {
            Kind::Baseline(server) => {
                let (process, address) = server.start(directory)?;
                Ok(Self { kind: kind.clone(), process, address, log: None })
            }
            Kind::Cresset(binary) => Self::start_cresset(kind, binary, directory, launch).await,
        }
    }

    async fn start_cresset(
        kind: &Kind,
        binary: &Path,
        directory: &Path,
        launch: &Launch,
    ) -> anyhow::Result<Self> {
        let (topics, data) = (directory.join("topics"), directory.join("data"));
        fs::create_dir_all(topics.join("r4"))?;
        fs::create_dir_all(&data)?;
        fs::write(topics.join("r4").join("observation-created.json"), topic().to_string())?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = directory.join("log");
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", &address.to_string(), "--allow-local-endpoints"]);
        if std::env::var_os(BUNDLED_TOPICS).is_none() {
            command.env(BUNDLED_TOPICS, "false");
        }
        if std::env::var_os(SUBSCRIPTIONS_MAX).is_none() {
            command.env(SUBSCRIPTIONS_MAX, "10000000");
        }
        command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--data").arg(&data).arg("--topics").arg(&topics);
        command
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        let process = Process::spawn(&mut command)?;
        let mut target = Self { kind: kind.clone(), process, address, log: Some(log) };
        target.ready(launch.ready_max).await?;
        Ok(target)
    }

    /// Polls readiness until the server serves.
    async fn ready(&mut self, ready_max: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + ready_max;
        loop {
            // A server that listens and does not serve yet lets the question wait.
            let asked = async {
                let mut connection = Connection::open(self.address).await?;
                connection.get(&self.host(), "/health/ready").await
            };
            if let Ok(Ok(_)) = tokio::time::timeout_at(deadline.into(), asked).await {
                return Ok(());
            }
            if self.process.ended() || Instant::now() > deadline {
                bail!("the server does not serve:\n{}", self.log_tail());
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// Name in the report.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Baseline(server) => server.letter(),
            Kind::Cresset(_) => "ours",
        }
    }

    /// Value of the `Host` header.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The end of what the server logged, for a message.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = self.log.as_ref().and_then(|log| fs::read_to_string(log).ok());
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Whether subscriptions exist without a socket.
    #[must_use]
    pub const fn has_subscriptions(&self) -> bool {
        matches!(self.kind, Kind::Cresset(_))
    }

    /// Makes a subscription for the Observations of a patient; gives its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn subscribe(
        &self,
        connection: &mut Connection,
        patient: &str,
    ) -> anyhow::Result<String> {
        let host = self.host();
        let body = subscription(patient).to_string();
        let request = format!(
            "POST /r4/Subscription HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/fhir+json\r\n\
             Accept: application/fhir+json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = connection.exchange(request.as_bytes()).await?;
        ensure!(answer.status == 201, "creating a subscription: {}", answer.describe());
        if let Some(id) = answer.created_id("Subscription") {
            return Ok(id.to_owned());
        }
        let created: Value = serde_json::from_slice(&answer.body)?;
        created["id"].as_str().map(str::to_owned).context("the subscription has no id")
    }

    /// Deletes a subscription.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn unsubscribe(&self, connection: &mut Connection, id: &str) -> anyhow::Result<()> {
        let request = format!(
            "DELETE /r4/Subscription/{id} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
            self.host()
        );
        let answer = connection.exchange(request.as_bytes()).await?;
        let is_done = matches!(answer.status, 200 | 204);
        ensure!(is_done, "deleting a subscription: {}", answer.describe());
        Ok(())
    }

    /// Makes a subscription for the Observations of each of these patients, with one request; gives their ids.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn subscribe_all(
        &self,
        connection: &mut Connection,
        patients: impl Iterator<Item = String>,
    ) -> anyhow::Result<Vec<String>> {
        self.create_all(connection, patients.map(|patient| subscription(&patient))).await
    }

    /// Makes a subscription for the Observations of a patient that go to each of these endpoints, with one request;
    /// gives their ids.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn hook_all(
        &self,
        connection: &mut Connection,
        patient: &str,
        endpoints: impl Iterator<Item = String>,
    ) -> anyhow::Result<Vec<String>> {
        let hook = |endpoint: String| {
            let mut hook = subscription(patient);
            hook["channel"]["type"] = "rest-hook".into();
            hook["channel"]["endpoint"] = endpoint.into();
            hook
        };
        self.create_all(connection, endpoints.map(hook)).await
    }

    async fn create_all(
        &self,
        connection: &mut Connection,
        subscriptions: impl Iterator<Item = Value>,
    ) -> anyhow::Result<Vec<String>> {
        let entry = |resource: Value| {
            json!({
                "resource": resource,
                "request": {"method": "POST", "url": "Subscription"},
            })
        };
        let entries: Vec<Value> = subscriptions.map(entry).collect();
        let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
        let (host, body) = (self.host(), bundle.to_string());
        let request = format!(
            "POST /r4 HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/fhir+json\r\n\
             Prefer: return=minimal\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = connection.exchange(request.as_bytes()).await?;
        ensure!(answer.status == 200, "making subscriptions: {}", answer.describe());
        let answered: Value = serde_json::from_slice(&answer.body)?;
        let answered = answered["entry"].as_array().map_or(&[][..], Vec::as_slice);
        let made = answered.iter().filter_map(|entry| {
            let response = &entry["response"];
            response["status"].as_str().filter(|status| status.starts_with("201"))?;
            id_in(response["location"].as_str()?, "Subscription").map(str::to_owned)
        });
        let made: Vec<String> = made.collect();
        let (count, asked) = (made.len(), entries.len());
        ensure!(count == asked, "{count} of {asked} subscriptions were made");
        Ok(made)
    }

    /// Opens a socket and binds it to a subscription (RQ-CH-42, RQ-CH-44).
    ///
    /// # Errors
    /// When token, connection or handshake fail.
    pub async fn bind(&self, connection: &mut Connection, id: &str) -> anyhow::Result<EventSocket> {
        bind(self.address, connection, id).await
    }

    /// A subscription for the Observations of a patient, with its socket bound.
    ///
    /// # Errors
    /// When any step is refused.
    pub async fn subscriber(
        &self,
        connection: &mut Connection,
        patient: &str,
    ) -> anyhow::Result<Subscriber> {
        match self.kind {
            Kind::Baseline(_) => {
                let url = format!("ws://{}{WEBSOCKET_PATH}?patient={patient}", self.address);
                let mut socket = EventSocket::open(self.address, &url).await?;
                let id = socket.handshake().await?;
                Ok(Subscriber { id, socket })
            }
            Kind::Cresset(_) => {
                let id = self.subscribe(connection, patient).await?;
                let socket = self.bind(connection, &id).await?;
                Ok(Subscriber { id, socket })
            }
        }
    }

    /// The target's own count of a subscription's events.
    ///
    /// # Errors
    /// When `$status` cannot be had.
    pub async fn counted(&self, connection: &mut Connection, id: &str) -> anyhow::Result<u64> {
        let status =
            connection.get(&self.host(), &format!("/r4/Subscription/{id}/$status")).await?;
        Notification::parse(&status)?
            .total
            .context("$status without events-since-subscription-start")
    }
}

/// As [`Target::bind`], for whoever does not have the target.
///
/// # Errors
/// As [`Target::bind`].
pub async fn bind(
    address: SocketAddr,
    connection: &mut Connection,
    id: &str,
) -> anyhow::Result<EventSocket> {
    let path = format!("/r4/Subscription/{id}/$get-ws-binding-token");
    let token = Token::parse(&connection.get(&address.to_string(), &path).await?)?;
    let mut socket = EventSocket::open(address, &token.websocket_url).await?;
    socket.send(format!("bind-with-token {}", token.token)).await?;
    let bound = socket.handshake().await?;
    ensure!(bound == id, "the handshake is for {bound}, not {id}");
    Ok(socket)
}

/// What the environment changes of the server's defaults, which it inherits: part of the report.
#[must_use]
pub fn server_environment() -> BTreeMap<String, String> {
    std::env::vars().filter(|(name, _)| name.starts_with(ENVIRONMENT)).collect()
}

/// The topic of the load: Observations created, to be filtered by patient.
fn topic() -> Value {
    json!({
        "resourceType": "SubscriptionTopic",
        "id": "observation-created",
        "url": TOPIC_URL,
        "status": "active",
        "title": "Observation created",
        "resourceTrigger": [{
            "description": "An Observation was created",
            "resource": "http://hl7.org/fhir/StructureDefinition/Observation",
            "supportedInteraction": ["create"],
        }],
        "canFilterBy": [{
            "description": "The patient that the Observation is about",
            "resource": "http://hl7.org/fhir/StructureDefinition/Observation",
            "filterParameter": "patient",
        }],
    })
}

/// An R4 websocket subscription in the form of the Backport guide (RQ 3.1), `id-only`.
fn subscription(patient: &str) -> Value {
    json!({
        "resourceType": "Subscription",
        "meta": {"profile": [format!("{GUIDE}/backport-subscription")]},
        "status": "requested",
        "reason": "Benchmark",
        "criteria": TOPIC_URL,
        "_criteria": {"extension": [{
            "url": format!("{GUIDE}/backport-filter-criteria"),
            "valueString": format!("Observation?patient={patient}"),
        }]},
        "channel": {
            "type": "websocket",
            "payload": "application/fhir+json",
            "_payload": {"extension": [{
                "url": format!("{GUIDE}/backport-payload-content"),
                "valueCode": "id-only",
            }]},
        },
    })
}
