//! A scripted endpoint of rest-hook subscriptions.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::notification::Notification;
use crate::version::Version;
use crate::wait::PATIENCE;
use crate::wire;

/// Largest body taken.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How the endpoint answers one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Not before this lets it; then 200.
    Held(Arc<Notify>),
    /// Never.
    Never,
    /// 200 with this script, as a module of a page.
    Module(String),
    /// 200 with this HTML.
    Page(String),
    /// 302 to this URL.
    Redirect(String),
    /// 422 with this text.
    Refused(String),
    /// With this status.
    Status(u16),
    /// With this status and `Retry-After`.
    Busy {
        /// The status.
        status: u16,
        /// Seconds or a date.
        retry_after: String,
    },
}

/// A request that was sent to the endpoint.
#[derive(Debug, Clone)]
pub struct Sent {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// How it is answered.
    pub answer: Answer,
    /// When it was read.
    pub at: Instant,
}

/// An endpoint on a free port of loopback; ends when dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    scripts: Mutex<HashMap<String, Script>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    always: Option<Answer>,
    sent: Vec<Sent>,
    read: usize,
}

impl Receiver {
    /// Starts one that answers 200.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serving does not end");
        });
        Self { address, shared, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL of a path, such as `/hook`.
    pub fn endpoint(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The answers to the next requests at a path; 200 after them.
    pub fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.shared.scripts().entry(path.to_owned()).or_default().answers.extend(answers);
    }

    /// The answer to all requests at a path from now on.
    pub fn always(&self, path: &str, answer: Answer) {
        let mut scripts = self.shared.scripts();
        let script = scripts.entry(path.to_owned()).or_default();
        script.answers.clear();
        script.always = Some(answer);
    }

    /// Answers all requests at a path with this page.
    pub fn serve(&self, path: &str, page: String) {
        self.always(path, Answer::Page(page));
    }

    /// Answers all requests at a path with this script.
    pub fn serve_module(&self, path: &str, script: String) {
        self.always(path, Answer::Module(script));
    }

    /// What was sent to a path so far.
    pub fn all(&self, path: &str) -> Vec<Sent> {
        self.shared.scripts().get(path).map(|script| script.sent.clone()).unwrap_or_default()
    }

    /// The next request at a path that was not asked for yet.
    ///
    /// # Panics
    /// If there is none in time.
    pub async fn next(&self, path: &str) -> Sent {
        let mut changed = self.shared.changed.subscribe();
        let next =
            changed.wait_for(|_| self.shared.scripts().get(path).is_some_and(Script::has_more));
        let waited = tokio::time::timeout(PATIENCE, next).await;
        assert!(waited.is_ok(), "nothing was sent to {path} within {PATIENCE:?}");
        let mut scripts = self.shared.scripts();
        let script = scripts.get_mut(path).expect("waited for");
        script.read += 1;
        script.sent[script.read - 1].clone()
    }

    /// The next notification at a path.
    pub async fn notification(&self, version: Version, path: &str) -> Notification {
        self.next(path).await.notification(version)
    }

    /// The next notification at a path that tells of events; heartbeats and handshakes are passed.
    pub async fn event(&self, version: Version, path: &str) -> Notification {
        loop {
            let next = self.notification(version, path).await;
            if next.kind == "event-notification" {
                return next;
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sent {
    /// The body as a notification.
    ///
    /// # Panics
    /// If it is none.
    pub fn notification(&self, version: Version) -> Notification {
        let value = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("a body that is no JSON: {error}"));
        Notification::read(version, &value)
    }

    /// The values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| value.to_str().expect("text")).collect()
    }
}

impl Shared {
    fn scripts(&self) -> MutexGuard<'_, HashMap<String, Script>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, path: &str, sent: Sent) -> Answer {
        let answer = {
            let mut scripts = self.scripts();
            let script = scripts.entry(path.to_owned()).or_default();
            let next = script.answers.pop_front().or_else(|| script.always.clone());
            let answer = next.unwrap_or(sent.answer.clone());
            script.sent.push(Sent { answer: answer.clone(), ..sent });
            answer
        };
        self.changed.send_modify(|count| *count += 1);
        answer
    }
}

impl Script {
    fn has_more(&self) -> bool {
        self.read < self.sent.len()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = head.uri.path().to_owned();
    let sent = Sent {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers,
        body,
        answer: Answer::Status(200),
        at: Instant::now(),
    };
    for content_type in sent.header("content-type") {
        wire::keep_typed(content_type, "", &sent.body);
    }
    match shared.record(&path, sent) {
        Answer::Busy { status, retry_after } => {
            (status_of(status), [("retry-after", retry_after)]).into_response()
        }
        Answer::Held(gate) => {
            gate.notified().await;
            StatusCode::OK.into_response()
        }
        Answer::Never => std::future::pending().await,
        Answer::Module(text) => ([("content-type", "text/javascript")], text).into_response(),
        Answer::Page(html) => ([("content-type", "text/html")], html).into_response(),
        Answer::Redirect(to) => (StatusCode::FOUND, [("location", to)]).into_response(),
        Answer::Refused(text) => (StatusCode::UNPROCESSABLE_ENTITY, text).into_response(),
        Answer::Status(status) => status_of(status).into_response(),
    }
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a status of the test's")
}
