//! The links in mails, and the tokens that make them work.
//!
//! A link to confirm has 256 random bits; the store keeps a hash of them, of the subscription, of
//! its address and of when its client last changed it, so that the link is worth nothing once any of
//! these is another. A link to unsubscribe has to work for as long as there are mails, so it is
//! signed instead of stored.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cresset_model::SubscriptionKey;
use jiff::Timestamp;
use ring::hmac;
use sha2::{Digest, Sha256};
use url::Url;

use crate::bases::version_of;
use crate::email::EmailConfig;
use crate::error::Error;
use crate::live::LiveSubscription;

/// Characters of every token: 256 bits in base64.
pub(super) const TOKEN_LENGTH: usize = 43;
/// Characters of what stands for an address in a log.
const RECIPIENT_HASH_LENGTH: usize = 12;

/// What links to unsubscribe are signed with. A secret.
#[derive(Clone)]
pub struct LinkKey(hmac::Key);

/// Not derived: it is a secret.
impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(…)")
    }
}

impl LinkKey {
    /// The key with these bits, which nobody else knows.
    pub fn new(bits: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bits))
    }

    /// The token that ends a subscription, as long as its address is this one.
    pub(super) fn unsubscription(&self, live: &LiveSubscription, endpoint: &str) -> String {
        let tag = hmac::sign(&self.0, &signed(live, endpoint));
        URL_SAFE_NO_PAD.encode(tag)
    }

    /// Whether this is that token; takes the same time whatever it is.
    pub(super) fn is_unsubscription(
        &self,
        live: &LiveSubscription,
        endpoint: &str,
        token: &str,
    ) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(token) else { return false };
        hmac::verify(&self.0, &signed(live, endpoint), &tag).is_ok()
    }
}

fn signed(live: &LiveSubscription, endpoint: &str) -> Vec<u8> {
    format!("unsubscribe\0{}\0{endpoint}", live.key).into_bytes()
}

/// A token that nobody can guess.
pub(crate) fn new_token() -> Result<String, Error> {
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).map_err(|error| Error::internal(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(secret))
}

/// What a token to confirm is stored by. No token of another kind has such a hash.
pub(crate) fn confirmation_hash(
    key: SubscriptionKey,
    accepted: Timestamp,
    endpoint: &str,
    token: &str,
) -> [u8; 32] {
    Sha256::digest(format!("email-confirm\0{key}\0{accepted}\0{endpoint}\0{token}")).into()
}

/// What is stored once the relay has taken the mail that asks for confirmation, so that a restart
/// does not ask again.
pub(crate) fn asked_hash(key: SubscriptionKey, accepted: Timestamp, endpoint: &str) -> [u8; 32] {
    Sha256::digest(format!("email-asked\0{key}\0{accepted}\0{endpoint}")).into()
}

/// What stands for an address in a log: the same for the same address, and not to be guessed from
/// a list of addresses without the key.
pub(crate) fn recipient_hash(key: &LinkKey, endpoint: &str) -> String {
    let address = endpoint.strip_prefix("mailto:").unwrap_or(endpoint).to_ascii_lowercase();
    let tag = hmac::sign(&key.0, format!("recipient\0{address}").as_bytes());
    let mut hash = URL_SAFE_NO_PAD.encode(tag);
    hash.truncate(RECIPIENT_HASH_LENGTH);
    hash
}

impl EmailConfig {
    /// The link that confirms.
    pub(crate) fn confirmation_link(
        &self,
        live: &LiveSubscription,
        token: &str,
    ) -> Result<Url, Error> {
        self.link("confirm", live, token)
    }

    /// The link that ends a subscription.
    pub(crate) fn unsubscription_link(
        &self,
        live: &LiveSubscription,
        endpoint: &str,
    ) -> Result<Url, Error> {
        self.link("unsubscribe", live, &self.link_key.unsubscription(live, endpoint))
    }

    fn link(&self, what: &str, live: &LiveSubscription, token: &str) -> Result<Url, Error> {
        let version =
            version_of(live.base).ok_or_else(|| Error::internal("a base without a version"))?;
        let (base, id) = (&self.link_base_url, &live.id);
        let link = format!("{base}/email/{what}/{}/{id}/{token}", version.path());
        Url::parse(&link).map_err(Error::internal)
    }
}
