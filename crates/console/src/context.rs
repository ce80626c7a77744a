//! What every page has: the node, the sessions, and what is computed once for all who look.

use std::sync::Arc;

use axum::http::StatusCode;
use cresset_definitions::FhirVersion;
use cresset_model::{ClientName, IssueCode};
use cresset_node::{Caller, Error, Kind, Node, Rights, StateFigures, TokenHash, Troubles};
use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Duration, Instant};
use url::Url;

use crate::console::{Config, PATH};
use crate::samples::Samples;
use crate::session::Sessions;

/// Live streams open at the same time.
const STREAMS_MAX: usize = 64;

/// How old an overview may be that is shown: looking at all subscriptions anew for each who looks
/// would cost the more the more do.
const OVERVIEW_AGE_MAX: Duration = Duration::from_secs(2);

/// How subscriptions and endpoints are.
pub(crate) struct Overview {
    pub(crate) state: Arc<StateFigures>,
    pub(crate) troubles: Troubles,
}

/// Shared by all pages.
#[derive(Clone)]
pub(crate) struct Context(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) node: Arc<Node>,
    pub(crate) config: Config,
    pub(crate) sessions: Sessions,
    pub(crate) samples: Samples,
    /// Room for live streams.
    pub(crate) streams: Arc<Semaphore>,
    /// The path of the console, with what a proxy puts before it.
    pub(crate) root: String,
    /// Whether browsers reach the server over TLS.
    pub(crate) is_secure: bool,
    overview: Mutex<Option<(Instant, Arc<Overview>)>>,
}

impl std::ops::Deref for Context {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Context {
    pub(crate) fn new(node: Arc<Node>, config: Config) -> Self {
        let url = Url::parse(node.base_url()).ok();
        let before = url.as_ref().map_or("", |url| url.path().trim_end_matches('/'));
        let root = format!("{before}{PATH}");
        Self(Arc::new(Inner {
            sessions: Sessions::new(config.session_lifetime),
            samples: Samples::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            root,
            is_secure: url.is_some_and(|url| url.scheme() == "https"),
            overview: Mutex::default(),
            node,
            config,
        }))
    }

    /// Who may log in with this name and secret.
    pub(crate) fn caller(&self, user: &str, secret: &str) -> Option<Caller> {
        let password = self.config.password.as_ref().filter(|one| one.user.as_str() == user);
        if let Some(password) = password {
            let is_right = TokenHash::of(secret) == password.hash;
            return is_right.then(|| Caller::new(password.user.clone(), Rights::ALL));
        }
        match self.node.authenticate(None) {
            // Without tokens there is the password, or nothing to ask for.
            Ok(anybody) => self.config.password.is_none().then_some(anybody),
            Err(_) => {
                let caller = self.node.authenticate(Some(&format!("Bearer {secret}")));
                caller.ok().filter(Caller::is_admin)
            }
        }
    }

    /// Whether anybody may log in, as anybody may use the server.
    pub(crate) fn asks_nothing(&self) -> bool {
        self.config.password.is_none() && self.node.authenticate(None).is_ok()
    }

    /// Where it is kept that somebody was shown content of resources.
    pub(crate) fn witness(&self) -> &'static str {
        if self.node.keeps_audit_trail() {
            "That you saw it is kept in the audit trail."
        } else {
            "That you saw it is in the server's log only: it keeps no audit trail (audit.level)."
        }
    }

    /// How subscriptions and endpoints are, at most [`OVERVIEW_AGE_MAX`] ago.
    pub(crate) async fn overview(&self) -> Result<Arc<Overview>, Error> {
        // Held while it is computed, so that those who come meanwhile share it.
        let mut kept = self.overview.lock().await;
        let fresh = kept.as_ref().filter(|(at, _)| at.elapsed() < OVERVIEW_AGE_MAX);
        if let Some((_, overview)) = fresh {
            return Ok(overview.clone());
        }
        let (node, operator) = (&self.node, operator());
        let state = node.state_figures(&operator).await?;
        let troubles = node.troubles(&operator).await?;
        let overview = Arc::new(Overview { state, troubles });
        *kept = Some((Instant::now(), overview.clone()));
        Ok(overview)
    }
}

/// Who asks for what is computed once for all who have logged in.
pub(crate) fn operator() -> Caller {
    Caller::new(ClientName::new("cresset").expect("a literal of the right form"), Rights::ALL)
}

/// The version that a part of a path names.
pub(crate) fn version_of(path: &str) -> Result<FhirVersion, Error> {
    let known = FhirVersion::ALL.into_iter().find(|version| version.path() == path);
    known.ok_or_else(|| not_found("there is no such FHIR version here"))
}

/// Nothing is there.
pub(crate) fn not_found(text: &str) -> Error {
    Error::of(Kind::NotFound, IssueCode::ResourceNotFound, text)
}

/// What a form says is not what it asks for.
pub(crate) fn bad_input(text: impl Into<String>) -> Error {
    Error::of(Kind::Malformed, IssueCode::InvalidParameter, text)
}

/// The status that goes with an error.
pub(crate) fn status_of(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The time that pages count from.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
