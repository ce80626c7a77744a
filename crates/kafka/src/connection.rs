//! One connection to one broker.
//!
//! While it is made, requests are asked one after the other ([`Dialogue`]); afterwards many at a time,
//! which the broker answers in order ([`Connection`]). One task owns the socket, so that a caller who
//! gives up never leaves half a request on it. A caller who gives up on a broker that has said nothing
//! for long closes the connection, as Kafka's own clients do: its answers would keep those of all
//! others waiting. Whoever is merely less patient than the others leaves the connection to them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::protocol::VersionRange;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::config::{Config, ServerAddress};
use crate::error::Error;
use crate::login::log_in;
use crate::wire::{ANSWER_BYTES_MAX, Ask, answer, correlation_of, frame};

/// Requests that wait to be written to one connection; callers of further ones wait.
const QUEUE_MAX: usize = 16;
/// How much of the time that a login is good for is used: a request on its way when it ends would
/// be lost.
const SESSION_USED: f64 = 0.85;

type Versions = BTreeMap<i16, VersionRange>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is being made.
pub(crate) struct Dialogue {
    stream: Box<dyn Stream>,
    client_id: Arc<str>,
    versions: Versions,
    correlation: i32,
}

/// A connection in use. The socket is closed when it is dropped.
pub(crate) struct Connection {
    calls: mpsc::Sender<Call>,
    versions: Versions,
    client_id: Arc<str>,
    correlation: AtomicI32,
    /// When the login ends, less some time.
    good_until: Option<Instant>,
    /// Somebody gave up on it; the task may not have ended yet.
    is_given_up: AtomicBool,
    pending: Arc<Pending>,
    silence_max: Duration,
    task: AbortHandle,
}

/// A request and who waits for its answer.
struct Call {
    frame: Bytes,
    waiting: Waiting,
}

struct Waiting {
    correlation: i32,
    answer: oneshot::Sender<Bytes>,
    asked: Instant,
}

/// Those who wait for answers, in the order in which they asked.
#[derive(Default)]
struct Pending(Mutex<VecDeque<Waiting>>);

impl Pending {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who wait while the task of the connection lives; afterwards they see that nobody will answer.
struct Answering(Arc<Pending>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.lock().clear();
    }
}

/// Closes the connection if the answer has not come and others do not come either.
struct Patience<'c> {
    connection: &'c Connection,
    answered: bool,
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        let Connection { pending, silence_max, .. } = self.connection;
        let silent = pending.lock().front().is_some_and(|one| one.asked.elapsed() >= *silence_max);
        if !self.answered && silent {
            self.connection.is_given_up.store(true, Ordering::Relaxed);
            self.connection.task.abort();
        }
    }
}

impl Dialogue {
    /// Asks one request and reads its answer.
    pub(crate) async fn ask<A: Ask>(&mut self, request: &A) -> Result<A::Answer, Error> {
        let version = version::<A>(&self.versions)?;
        self.correlation += 1;
        let bytes = frame(request, version, self.correlation, &self.client_id)?;
        self.stream.write_all(&bytes).await.map_err(Error::Connect)?;
        self.stream.flush().await.map_err(Error::Connect)?;
        let bytes = read_frame(&mut self.stream).await.map_err(|error| {
            if error.kind() == io::ErrorKind::InvalidData {
                Error::Protocol("an answer has an impossible length")
            } else {
                Error::Connect(error)
            }
        })?;
        if correlation_of(&bytes) != Some(self.correlation) {
            return Err(Error::Protocol("an answer belongs to no request"));
        }
        answer::<A>(bytes, version)
    }
}

impl Connection {
    /// Connects, with TLS and login as configured.
    pub(crate) async fn open(address: &ServerAddress, config: &Config) -> Result<Self, Error> {
        let opening = Self::open_in_time(address, config);
        let late = |_| Error::Connect(io::ErrorKind::TimedOut.into());
        timeout(config.connect_timeout, opening).await.map_err(late)?
    }

    async fn open_in_time(address: &ServerAddress, config: &Config) -> Result<Self, Error> {
        let tcp = connect(address, config.stays_on_machine()).await?;
        let stream: Box<dyn Stream> = match &config.tls {
            Some(tls) => Box::new(encrypted(tcp, address, tls.clone()).await?),
            None => Box::new(tcp),
        };
        let client_id: Arc<str> = config.client_id.as_str().into();
        // Until the broker has told, only this question may be asked.
        let versions = BTreeMap::from([(ApiVersionsRequest::KEY, ApiVersionsRequest::VERSIONS)]);
        let mut dialogue = Dialogue { stream, client_id, versions, correlation: 0 };
        let told = dialogue.ask(&ApiVersionsRequest::default()).await?;
        if let Some(error) = Error::of_code(told.error_code) {
            return Err(error);
        }
        let ranges = told
            .api_keys
            .iter()
            .map(|api| (api.api_key, VersionRange { min: api.min_version, max: api.max_version }));
        dialogue.versions = ranges.collect();
        let lifetime = match &config.login {
            Some(login) => log_in(&mut dialogue, login).await?,
            None => None,
        };
        let good_until = lifetime.map(|one| Instant::now() + one.mul_f64(SESSION_USED));
        Ok(Self::start(dialogue, good_until, config.silence_max))
    }

    fn start(dialogue: Dialogue, good_until: Option<Instant>, silence_max: Duration) -> Self {
        let Dialogue { stream, client_id, versions, correlation } = dialogue;
        let (calls, queue) = mpsc::channel(QUEUE_MAX);
        let pending = Arc::new(Pending::default());
        let task = tokio::spawn(serve(stream, queue, Answering(pending.clone()))).abort_handle();
        let correlation = AtomicI32::new(correlation);
        let is_given_up = AtomicBool::new(false);
        Self {
            calls,
            versions,
            client_id,
            correlation,
            good_until,
            is_given_up,
            pending,
            silence_max,
            task,
        }
    }

    /// Whether requests may be asked on it.
    pub(crate) fn is_open(&self) -> bool {
        !self.calls.is_closed()
            && !self.is_given_up.load(Ordering::Relaxed)
            && self.good_until.is_none_or(|until| Instant::now() < until)
    }

    /// The version that a request is asked in.
    pub(crate) fn version_of<A: Ask>(&self) -> Result<i16, Error> {
        version::<A>(&self.versions)
    }

    /// Asks one request.
    ///
    /// Cancel safety: dropping the future closes the connection if the broker has been silent for long;
    /// whether the request was carried out is then unknown.
    pub(crate) async fn ask<A: Ask>(&self, request: &A) -> Result<A::Answer, Error> {
        let version = version::<A>(&self.versions)?;
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let frame = frame(request, version, correlation, &self.client_id)?;
        let (sender, receiver) = oneshot::channel();
        let waiting = Waiting { correlation, answer: sender, asked: Instant::now() };
        let mut patience = Patience { connection: self, answered: false };
        let call = Call { frame, waiting };
        self.calls
            .send(call)
            .await
            .map_err(|_| Error::Connect(io::ErrorKind::NotConnected.into()))?;
        let bytes = receiver.await.map_err(|_| Error::Interrupted)?;
        patience.answered = true;
        answer::<A>(bytes, version)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The newest version of a request that both sides speak.
fn version<A: Ask>(versions: &Versions) -> Result<i16, Error> {
    let theirs = versions.get(&A::KEY).ok_or(Error::Protocol("it lacks a request"))?;
    let version = theirs.max.min(A::VERSIONS.max);
    if version < theirs.min.max(A::VERSIONS.min) {
        return Err(Error::Protocol("it speaks no version of a request that is known here"));
    }
    Ok(version)
}

/// Connects to a broker; to one on this machine only, whatever its name says, if it has to stay there.
async fn connect(address: &ServerAddress, on_machine: bool) -> Result<TcpStream, Error> {
    let found = lookup_host((address.host.as_str(), address.port)).await;
    let mut last = None;
    for one in found.map_err(|_| Error::Lookup)? {
        if on_machine && !one.ip().to_canonical().is_loopback() {
            last = Some(Error::Exposed);
            continue;
        }
        match TcpStream::connect(one).await {
            Ok(tcp) => {
                // Requests are whole frames: waiting for more only delays them.
                tcp.set_nodelay(true).map_err(Error::Connect)?;
                return Ok(tcp);
            }
            Err(error) => last = Some(Error::Connect(error)),
        }
    }
    Err(last.unwrap_or(Error::Lookup))
}

async fn encrypted(
    tcp: TcpStream,
    address: &ServerAddress,
    tls: Arc<ClientConfig>,
) -> Result<impl Stream + use<>, Error> {
    let name = ServerName::try_from(address.host.clone());
    let name = name.map_err(|_| Error::Protocol("its name cannot stand in a certificate"))?;
    let connected = TlsConnector::from(tls).connect(name, tcp).await;
    connected.map_err(|error| {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        cause.cloned().map_or_else(|| Error::Connect(error), Error::Tls)
    })
}

/// Writes requests and gives out answers until either side ends it.
async fn serve(stream: Box<dyn Stream>, queue: mpsc::Receiver<Call>, pending: Answering) {
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        () = write_all(writer, queue, &pending.0) => {}
        () = read_all(reader, &pending.0) => {}
    }
}

async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Call>,
    pending: &Pending,
) {
    while let Some(Call { frame, waiting }) = queue.recv().await {
        pending.lock().push_back(waiting);
        let written = async {
            writer.write_all(&frame).await?;
            writer.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
}

async fn read_all(mut reader: impl AsyncRead + Unpin, pending: &Pending) {
    while let Ok(bytes) = read_frame(&mut reader).await {
        let Some(waiting) = pending.lock().pop_front() else { return };
        if correlation_of(&bytes) != Some(waiting.correlation) {
            return;
        }
        // Who asked may have given up.
        drop(waiting.answer.send(bytes));
    }
}

/// One frame, without its length.
async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let length = usize::try_from(reader.read_i32().await?).ok();
    let length = length.filter(|length| (4..=ANSWER_BYTES_MAX).contains(length));
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).await?;
    Ok(Bytes::from(bytes))
}

/// What is left until an instant.
pub(crate) fn left_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
