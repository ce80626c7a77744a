//! Tokens that bind a websocket to subscriptions (RQ section 7.3).
//!
//! A token is 256 random bits. The store keeps its hash with owner, expiry and subscriptions, so
//! tokens survive a restart. It may be used again until it expires, and covers only what its
//! owner still has: deleted subscriptions fall out of it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cresset_model::{Base, ChannelType, IssueCode, ResourceId};
use cresset_store::{Record, TokenRecord};
use jiff::Timestamp;

use crate::caller::{Caller, TokenHash};
use crate::error::{Error, Kind};
use crate::live::LiveSubscription;
use crate::shared::Shared;
use crate::writer::WriterHandle;

/// Subscriptions that one token covers at most: as many as one socket can bind.
const SUBSCRIPTIONS_PER_TOKEN_MAX: usize = cresset_engine::BINDINGS_PER_SOCKET_MAX;

/// A token just made.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
    pub(crate) subscriptions: Vec<ResourceId>,
}

/// What a token that came in allows.
pub(crate) struct Grant {
    pub(crate) expires: Timestamp,
    pub(crate) subscriptions: Vec<Arc<LiveSubscription>>,
}

/// Makes a token for these subscriptions of the caller; for all its websocket ones if none is
/// named.
///
/// # Errors
/// `NotFound` for one that the caller does not see, `Unprocessable` for one of another channel or
/// when there is none at all (RQ-OP-43).
pub(crate) async fn issue(
    shared: &Shared,
    writer: &WriterHandle,
    caller: &Caller,
    base: Base,
    ids: &[ResourceId],
) -> Result<Issued, Error> {
    let covered = covered(shared, caller, base, ids)?;
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).map_err(|error| Error::internal(error.to_string()))?;
    let token = URL_SAFE_NO_PAD.encode(secret);
    let now = shared.clock.now();
    let expires =
        now.checked_add(shared.config.websocket.token_lifetime).map_err(Error::internal)?;
    let record = TokenRecord {
        hash: TokenHash::of(&token).0,
        base,
        owner: caller.client().clone(),
        expires,
        subscriptions: covered.iter().map(|live| live.key).collect(),
    };
    writer.record(vec![Record::Token(record)]).await?;
    let subscriptions = covered.iter().map(|live| live.id.clone()).collect();
    Ok(Issued { token, expires, subscriptions })
}

fn covered(
    shared: &Shared,
    caller: &Caller,
    base: Base,
    ids: &[ResourceId],
) -> Result<Vec<Arc<LiveSubscription>>, Error> {
    let is_websocket =
        |live: &Arc<LiveSubscription>| live.state().settings.channel_type == ChannelType::Websocket;
    let covered: Vec<_> = if ids.is_empty() {
        let own = shared.live.of_base(base).into_iter();
        own.filter(|live| *live.owner == *caller.client() && is_websocket(live)).collect()
    } else {
        let mut named = Vec::with_capacity(ids.len());
        for id in ids {
            let live = shared.live.find(base, id).filter(|live| caller.sees(&live.owner));
            let live = live.ok_or_else(|| Error::not_found(format!("Subscription/{id}")))?;
            if !is_websocket(&live) {
                let text = format!("the channel of Subscription/{id} is not websocket");
                return Err(Error::of(Kind::Unprocessable, IssueCode::WrongChannel, text));
            }
            named.push(live);
        }
        named.sort_unstable_by_key(|live| live.key);
        named.dedup_by_key(|live| live.key);
        named
    };
    if covered.is_empty() {
        let text = "this client has no websocket subscription";
        return Err(Error::of(Kind::Unprocessable, IssueCode::WrongChannel, text));
    }
    if covered.len() > SUBSCRIPTIONS_PER_TOKEN_MAX {
        let text = format!("a token covers at most {SUBSCRIPTIONS_PER_TOKEN_MAX} subscriptions");
        return Err(Error::of(Kind::Unprocessable, IssueCode::OutOfBounds, text));
    }
    Ok(covered)
}

/// What the token with this hash allows now.
///
/// # Errors
/// `Forbidden` for a token that is unknown, expired, or covers nothing any more.
pub(crate) async fn grant(shared: &Arc<Shared>, hash: TokenHash) -> Result<Grant, Error> {
    let refused = || Error::of(Kind::Forbidden, IssueCode::InvalidToken, "the token is not valid");
    let record = shared.read(move |store| store.token(&hash.0)).await?.ok_or_else(refused)?;
    if record.expires <= shared.clock.now() {
        return Err(refused());
    }
    let subscriptions: Vec<_> =
        record.subscriptions.iter().filter_map(|key| shared.live.get(*key)).collect();
    if subscriptions.is_empty() {
        return Err(refused());
    }
    Ok(Grant { expires: record.expires, subscriptions })
}
