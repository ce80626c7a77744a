//! Signatures of the Standard Webhooks specification: who sent a notification, and when.
//!
//! Signed is `{id}.{timestamp}.{body}`; `webhook-signature` holds one signature for each key that the sender uses,
//! so that keys can be changed without a gap on either side. Pure: the time is given. Its tests are in
//! `signature/tests.rs`.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};

/// How far a timestamp may be from the receiver's time, if nothing else is said.
pub const TIMESTAMP_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Most signatures in one header that are looked at.
pub const SIGNATURES_MAX: usize = 16;

/// Bytes that a symmetric key may have, by the specification.
const HMAC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Bytes of an Ed25519 key.
const ED25519_BYTES: usize = 32;

/// Text that is no key to verify with. It does not tell the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be whsec_ with 24 to 64 bytes in base64 (HMAC-SHA256), or whpk_ with an Ed25519 key in base64"
)]
pub struct InvalidKey;

/// Why a message is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// `webhook-id`, `webhook-timestamp` or `webhook-signature` is missing, doubled or no text.
    #[error("the header {0} is missing, stands twice or is not valid")]
    Header(&'static str),
    /// No signature is of a key that is known.
    #[error("no signature is valid")]
    Signature,
    /// It was signed too long ago, or in the future: it may be sent again by somebody else.
    #[error("the timestamp is not within the tolerance")]
    Timestamp,
}

/// The keys a receiver knows, any of which may have signed.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<Key>,
    tolerance: Duration,
}

enum Key {
    Ed25519(UnparsedPublicKey<[u8; ED25519_BYTES]>),
    HmacSha256(hmac::Key),
}

impl Verifier {
    /// Verifies with these keys: `whsec_…` (HMAC-SHA256, shared) or `whpk_…` (Ed25519, public).
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] for anything else. Without keys, nothing is ever trusted.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Self, InvalidKey> {
        let keys = keys.into_iter().map(Key::parse).collect::<Result<_, _>>()?;
        Ok(Self { keys, tolerance: TIMESTAMP_TOLERANCE })
    }

    /// With another tolerance for timestamps.
    #[must_use]
    pub const fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Verifies a request; `now` is in seconds since 1970. Gives the message's id, which is the same when it is
    /// sent again.
    ///
    /// # Errors
    ///
    /// Why it is not to be trusted.
    pub fn verify<'h>(
        &self,
        headers: &'h HeaderMap,
        body: &[u8],
        now: i64,
    ) -> Result<&'h str, Untrusted> {
        let id = header(headers, "webhook-id")?;
        let timestamp = header(headers, "webhook-timestamp")?;
        let signatures = header(headers, "webhook-signature")?;
        let signed_at: i64 =
            timestamp.parse().map_err(|_| Untrusted::Header("webhook-timestamp"))?;
        let mut content = format!("{id}.{timestamp}.").into_bytes();
        content.extend_from_slice(body);
        let is_valid =
            |signature: &str| self.keys.iter().any(|key| key.signed(&content, signature));
        if !signatures.split(' ').take(SIGNATURES_MAX).any(is_valid) {
            return Err(Untrusted::Signature);
        }
        if now.abs_diff(signed_at) > self.tolerance.as_secs() {
            return Err(Untrusted::Timestamp);
        }
        Ok(id)
    }
}

impl Key {
    fn parse(text: &str) -> Result<Self, InvalidKey> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| InvalidKey);
        if let Some(secret) = text.strip_prefix("whsec_") {
            let secret = decode(secret)?;
            if !HMAC_BYTES.contains(&secret.len()) {
                return Err(InvalidKey);
            }
            return Ok(Self::HmacSha256(hmac::Key::new(hmac::HMAC_SHA256, &secret)));
        }
        let public = decode(text.strip_prefix("whpk_").ok_or(InvalidKey)?)?;
        let public = public.try_into().map_err(|_| InvalidKey)?;
        Ok(Self::Ed25519(UnparsedPublicKey::new(&ED25519, public)))
    }

    /// Whether this signature, with its version before a comma, is of this key. In constant time.
    fn signed(&self, content: &[u8], signature: &str) -> bool {
        let (version, signature) = signature.split_once(',').unwrap_or_default();
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        match self {
            Self::Ed25519(key) => version == "v1a" && key.verify(content, &signature).is_ok(),
            Self::HmacSha256(key) => {
                version == "v1" && hmac::verify(key, content, &signature).is_ok()
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Untrusted> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) if !value.is_empty() => Ok(value),
        _ => Err(Untrusted::Header(name)),
    }
}

#[cfg(test)]
mod tests;
