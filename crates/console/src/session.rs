//! Who has logged in: an opaque token in a cookie, its hash here.
//!
//! Sessions live in memory only: a restart ends them. There are at most [`SESSIONS_MAX`], of which the
//! oldest makes room; wrong logins are counted for everybody together, so that guessing is slow from
//! however many places it comes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cresset_node::{Caller, TokenHash};
use rustc_hash::FxHashMap;
use tokio::time::{Duration, Instant};

use crate::context::Context;
use crate::login;

/// Sessions at the same time.
pub(crate) const SESSIONS_MAX: usize = 100;

/// Wrong logins within [`WRONG_PERIOD`] after which nobody can log in until it has passed.
pub(crate) const WRONG_MAX: u32 = 10;
/// See [`WRONG_MAX`].
pub(crate) const WRONG_PERIOD: Duration = Duration::from_secs(60);

/// The cookie that holds the token.
const COOKIE: &str = "cresset-console";
/// Bytes of a token: too many to be guessed.
const TOKEN_BYTES: usize = 32;

/// One login.
#[derive(Clone)]
pub(crate) struct Session {
    /// As whom.
    pub(crate) caller: Caller,
    /// What a form has to hold to come from a page of ours.
    pub(crate) csrf: String,
    id: TokenHash,
    ends: Instant,
}

/// All logins.
pub(crate) struct Sessions {
    lifetime: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_id: FxHashMap<TokenHash, Session>,
    /// When the first of the wrong logins that count was, and how many there are.
    wrong: Option<(Instant, u32)>,
}

impl Sessions {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { lifetime, kept: Mutex::default() }
    }

    /// How long nobody may log in for now.
    pub(crate) fn closed_for(&self, now: Instant) -> Option<Duration> {
        let (since, count) = self.kept().wrong?;
        let left = WRONG_PERIOD.checked_sub(now.duration_since(since))?;
        (count >= WRONG_MAX && !left.is_zero()).then_some(left)
    }

    /// Counts a wrong login.
    pub(crate) fn count_wrong(&self, now: Instant) {
        let mut kept = self.kept();
        let (since, count) = kept.wrong.unwrap_or((now, 0));
        let is_over = now.duration_since(since) >= WRONG_PERIOD;
        kept.wrong = Some(if is_over { (now, 1) } else { (since, count + 1) });
    }

    /// Begins a session; gives its token, or none if the system has no randomness.
    pub(crate) fn begin(&self, caller: Caller) -> Option<String> {
        let (token, csrf) = (token()?, token()?);
        let id = TokenHash::of(&token);
        let session = Session { caller, csrf, id, ends: Instant::now() + self.lifetime };
        let mut kept = self.kept();
        kept.by_id.retain(|_, session| session.is_alive());
        if kept.by_id.len() == SESSIONS_MAX {
            let oldest = kept.by_id.values().min_by_key(|session| session.ends);
            let oldest = oldest.map(|session| session.id);
            oldest.and_then(|id| kept.by_id.remove(&id));
        }
        kept.by_id.insert(id, session);
        Some(token)
    }

    /// Ends a session.
    pub(crate) fn end(&self, session: &Session) {
        self.kept().by_id.remove(&session.id);
    }

    /// Whether a session has not ended.
    pub(crate) fn is_alive(&self, session: &Session) -> bool {
        self.kept().by_id.get(&session.id).is_some_and(Session::is_alive)
    }

    /// The session whose cookie a request has.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|one| one.to_str().ok());
        let mut tokens = cookies.flat_map(|line| line.split(';')).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then_some(value)
        });
        let id = TokenHash::of(tokens.next()?);
        self.kept().by_id.get(&id).filter(|session| session.is_alive()).cloned()
    }

    /// The cookie with a token, or the one that takes it back.
    pub(crate) fn cookie(&self, token: Option<&str>, path: &str, is_secure: bool) -> String {
        let age = token.map_or(0, |_| self.lifetime.as_secs());
        let token = token.unwrap_or_default();
        let secure = if is_secure { "; Secure" } else { "" };
        format!("{COOKIE}={token}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Whether a form holds what this session's pages put into it.
    pub(crate) fn owns(&self, csrf: &str) -> bool {
        // Hashes, so that the time taken tells nothing.
        TokenHash::of(csrf) == TokenHash::of(&self.csrf)
    }

    fn is_alive(&self) -> bool {
        Instant::now() < self.ends
    }
}

impl FromRequestParts<Context> for Session {
    type Rejection = Response;

    /// Sends to the login who has none.
    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Response> {
        let session = context.sessions.of(&parts.headers);
        session.ok_or_else(|| login::required(context, &parts.method, &parts.uri))
    }
}

/// A secret that cannot be guessed.
fn token() -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use cresset_model::ClientName;
    use cresset_node::Rights;

    use super::*;

    fn caller() -> Caller {
        Caller::new(ClientName::new("a").unwrap(), Rights::ALL)
    }

    fn cookie(token: &str) -> HeaderMap {
        let value = format!("other=1; {COOKIE}={token}").parse().unwrap();
        HeaderMap::from_iter([(header::COOKIE, value)])
    }

    #[test]
    fn wrong_logins_close_the_door_for_a_while() {
        let sessions = Sessions::new(Duration::from_secs(60));
        let start = Instant::now();
        for _ in 1..WRONG_MAX {
            sessions.count_wrong(start);
        }
        assert_eq!(sessions.closed_for(start), None);
        sessions.count_wrong(start);
        assert_eq!(sessions.closed_for(start), Some(WRONG_PERIOD));
        let later = start + WRONG_PERIOD;
        assert_eq!(sessions.closed_for(later), None);
        sessions.count_wrong(later);
        assert_eq!(sessions.closed_for(later), None, "they are counted anew");
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::new(Duration::from_secs(60));
        let tokens: Vec<String> =
            (0..=SESSIONS_MAX).map(|_| sessions.begin(caller()).unwrap()).collect();
        assert!(sessions.of(&cookie(&tokens[0])).is_none());
        assert!(tokens[1..].iter().all(|token| sessions.of(&cookie(token)).is_some()));
    }

    #[test]
    fn a_session_ends_by_itself_and_when_it_is_told_to() {
        let ended = Sessions::new(Duration::ZERO);
        let token = ended.begin(caller()).unwrap();
        assert!(ended.of(&cookie(&token)).is_none());
        let sessions = Sessions::new(Duration::from_secs(60));
        let token = sessions.begin(caller()).unwrap();
        let session = sessions.of(&cookie(&token)).unwrap();
        assert!(sessions.is_alive(&session));
        sessions.end(&session);
        assert!(!sessions.is_alive(&session) && sessions.of(&cookie(&token)).is_none());
    }
}
