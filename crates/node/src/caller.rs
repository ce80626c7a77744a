//! Who asks, and what they may do: the seam that SMART access tokens fill later.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cresset_engine::CompiledSubscription;
use cresset_model::{
    ClientName, Issue, IssueCode, PayloadContent, TraceContext, is_criteria_topic,
};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use crate::error::{Error, Kind};

/// One right of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Everything, also the subscriptions of others.
    Admin,
    /// Read metrics.
    Metrics,
    /// Tell of events that are no changes of data (`$notify-event`).
    Notify,
    /// Read and search resources.
    Read,
    /// Create and manage subscriptions of its own.
    Subscribe,
    /// Create, change and delete topics.
    Topics,
    /// Create, change and delete resources that are neither topics nor subscriptions.
    Write,
}

impl Right {
    const fn bit(self) -> u8 {
        match self {
            Self::Admin => 1,
            Self::Read => 2,
            Self::Subscribe => 4,
            Self::Topics => 8,
            Self::Write => 16,
            Self::Notify => 32,
            Self::Metrics => 64,
        }
    }

    /// The word for it in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Metrics => "metrics",
            Self::Notify => "notify",
            Self::Read => "read",
            Self::Subscribe => "subscribe",
            Self::Topics => "topics",
            Self::Write => "write",
        }
    }
}

/// A set of rights. `Admin` holds all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

impl Rights {
    /// Every right there is.
    pub const ALL: Self = Self(Right::Admin.bit());

    /// Whether the right is in the set.
    pub const fn contains(self, right: Right) -> bool {
        self.0 & (right.bit() | Right::Admin.bit()) != 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |set, right| set | right.bit()))
    }
}

/// What subscriptions of a client may be, beside its rights (RQ-SS-02, RQ-SS-04).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionBounds {
    /// URLs of the topics that they may name; none if any.
    pub topics: Option<BTreeSet<String>>,
    /// The most that their notifications may hold of resources.
    pub content_max: PayloadContent,
}

impl SubscriptionBounds {
    /// No bounds.
    pub const NONE: Self = Self { topics: None, content_max: PayloadContent::FullResource };
}

/// Who asks: every use case takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    client: ClientName,
    rights: Rights,
    bounds: Arc<SubscriptionBounds>,
    trace: Option<TraceContext>,
}

impl Caller {
    /// A caller with this name and these rights, whose subscriptions have no bounds.
    pub fn new(client: ClientName, rights: Rights) -> Self {
        Self { client, rights, bounds: Arc::new(SubscriptionBounds::NONE), trace: None }
    }

    /// The same caller, whose subscriptions have these bounds.
    #[must_use]
    pub fn bounded(self, bounds: SubscriptionBounds) -> Self {
        Self { bounds: Arc::new(bounds), ..self }
    }

    /// Whoever reads metrics where nobody is asked who they are.
    pub fn of_metrics() -> Self {
        Self { rights: Rights(Right::Metrics.bit()), ..anonymous() }
    }

    /// The same caller, asking as part of this trace.
    #[must_use]
    pub fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// The trace that the request belongs to, where it names one.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// The client's name.
    pub fn client(&self) -> &ClientName {
        &self.client
    }

    /// Whether the caller sees and manages subscriptions of everybody.
    pub fn is_admin(&self) -> bool {
        self.rights.contains(Right::Admin)
    }

    /// Refuses with 403 unless the caller has the right.
    pub fn require(&self, right: Right) -> Result<(), Error> {
        if self.rights.contains(right) {
            return Ok(());
        }
        let text = format!("this client lacks the right '{}'", right.as_str());
        Err(Error::of(Kind::Forbidden, IssueCode::Forbidden, text))
    }

    /// Whether this caller may see what `owner` created.
    pub(crate) fn sees(&self, owner: &ClientName) -> bool {
        self.is_admin() || self.client == *owner
    }
}

/// SHA-256 of a bearer token; what the configuration and the store keep instead of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a token as it stands in the `Authorization` header.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// What each client may do now, whatever token it has: for what is sent without it asking.
#[derive(Debug)]
pub(crate) enum ClientRights {
    /// Everybody may do everything.
    All,
    /// A client that is not here may do nothing.
    Of(FxHashMap<ClientName, (Rights, Arc<SubscriptionBounds>)>),
}

impl ClientRights {
    pub(crate) fn new(authentication: &Authentication) -> Self {
        let Authentication::Tokens { callers, others } = authentication else { return Self::All };
        let clients = callers.values().chain(others).map(|caller| {
            // The tokens of a client are alike in what they allow.
            (caller.client.clone(), (caller.rights, caller.bounds.clone()))
        });
        Self::Of(clients.collect())
    }

    /// Whether a client has a right.
    pub(crate) fn has(&self, client: &ClientName, right: Right) -> bool {
        match self {
            Self::All => true,
            Self::Of(clients) => clients.get(client).is_some_and(|(own, _)| own.contains(right)),
        }
    }

    /// Refuses a subscription that its owner may not have, or not any more (RQ-SS-02 to RQ-SS-04).
    pub(crate) fn check(
        &self,
        owner: &ClientName,
        subscription: &CompiledSubscription,
        content: PayloadContent,
    ) -> Result<(), Issue> {
        self.check_bounds(owner, &subscription.topic().canonical().url, content)?;
        check_may_ask(self.has(owner, Right::Read), subscription)
    }

    /// Refuses what a client may not be sent: events of a topic, with so much of the resources.
    pub(crate) fn check_bounds(
        &self,
        owner: &ClientName,
        topic_url: &str,
        content: PayloadContent,
    ) -> Result<(), Issue> {
        let Self::Of(clients) = self else { return Ok(()) };
        let forbidden = |text: String, path| Err(Issue::error(IssueCode::Forbidden, text).at(path));
        let Some((rights, bounds)) = clients.get(owner) else {
            return forbidden("its client is not known here any more".to_owned(), "Subscription");
        };
        if !rights.contains(Right::Subscribe) {
            let text = format!("its client lacks the right '{}'", Right::Subscribe.as_str());
            return forbidden(text, "Subscription");
        }
        if bounds.topics.as_ref().is_some_and(|topics| !topics.contains(topic_url)) {
            let text = "the topic is none of those that its client may subscribe to".to_owned();
            return forbidden(text, "Subscription.topic");
        }
        // Who may not read resources gets no copies of them either (RQ-SB-39).
        let content_max = match rights.contains(Right::Read) {
            true => bounds.content_max,
            false => least(bounds.content_max, PayloadContent::IdOnly),
        };
        if least(content, content_max) != content {
            let lacks =
                if content_max == bounds.content_max { "" } else { ", without the right 'read'" };
            let text = format!("its client may be sent {} at most{lacks}", content_max.code());
            return forbidden(text, "Subscription.content");
        }
        Ok(())
    }
}

/// The content level that shows less.
pub(crate) fn least(a: PayloadContent, b: PayloadContent) -> PayloadContent {
    let rank = |content: PayloadContent| match content {
        PayloadContent::Empty => 0,
        PayloadContent::IdOnly => 1,
        PayloadContent::FullResource => 2,
    };
    if rank(a) <= rank(b) { a } else { b }
}

/// Refuses a subscription that asks more than its owner may know: filters that look at other
/// resources than the focus tell of them by which events come (RQ-SS-02, RQ-SS-03).
///
/// Topics are no such question: whoever may subscribe may know what their authors, who had to be
/// allowed to read, have them tell. A search as criteria has no author but its owner, and its events
/// tell what any search would.
pub(crate) fn check_may_ask(
    may_read: bool,
    subscription: &CompiledSubscription,
) -> Result<(), Issue> {
    if may_read {
        return Ok(());
    }
    if is_criteria_topic(&subscription.topic().canonical().url) {
        let text = format!("a search as criteria takes the right '{}'", Right::Read.as_str());
        return Err(Issue::error(IssueCode::Forbidden, text).at("Subscription.criteria"));
    }
    if subscription.asks_others() {
        return Err(may_not_ask("a filter").at("Subscription.filterBy"));
    }
    Ok(())
}

/// What a client is told that asks about other resources than the one that changed and may not read
/// them. The right is for all types of resources.
pub(crate) fn may_not_ask(what: &str) -> Issue {
    let text = format!(
        "{what} looks at other resources than the one that changed, which takes the right '{}'",
        Right::Read.as_str()
    );
    Issue::error(IssueCode::Forbidden, text)
}

/// How callers are known.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// Everybody is one client with all rights. Only sound on a loopback address; the
    /// configuration sees to that.
    None,
    /// Static bearer tokens.
    Tokens {
        /// Whose they are, by hash.
        callers: FxHashMap<TokenHash, Caller>,
        /// Clients that have none: whoever logs in at the console with a password.
        others: Vec<Caller>,
    },
}

impl Authentication {
    /// Bearer tokens, and nobody besides.
    pub fn tokens(callers: impl IntoIterator<Item = (TokenHash, Caller)>) -> Self {
        Self::Tokens { callers: callers.into_iter().collect(), others: Vec::new() }
    }

    /// The caller who sent this `Authorization` header.
    ///
    /// # Errors
    /// `Unauthenticated` when a token is needed and missing, or not known.
    pub fn caller(&self, authorization: Option<&str>) -> Result<Caller, Error> {
        let tokens = match self {
            Self::None => return Ok(anonymous()),
            Self::Tokens { callers, .. } => callers,
        };
        let token = authorization.and_then(bearer).ok_or_else(|| {
            let text = "send 'Authorization: Bearer <token>' with a token of this server";
            Error::of(Kind::Unauthenticated, IssueCode::LoginRequired, text)
        })?;
        tokens.get(&TokenHash::of(token)).cloned().ok_or_else(|| {
            let text = "the bearer token is not known here";
            Error::of(Kind::Unauthenticated, IssueCode::LoginRequired, text)
        })
    }
}

/// The token of a `Bearer` authorization; the scheme's case does not matter.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// The one client of a server without authentication.
fn anonymous() -> Caller {
    Caller::new(ClientName::new("anonymous").expect("a literal of the right form"), Rights::ALL)
}

#[cfg(test)]
mod tests;
