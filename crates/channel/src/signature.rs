//! Signatures of the Standard Webhooks specification, so that a receiver knows who sent it what.
//!
//! Signed is `{id}.{timestamp}.{body}`; the header holds one signature per key, so that receivers
//! can change from one key to the next. Pure. Keys are secrets: no text made here and no `Debug`
//! holds one. Its tests are in `signature/tests.rs`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// Most keys that sign at the same time.
pub const SIGNING_KEYS_MAX: usize = 8;

/// Bytes that a symmetric key may have, by the specification.
const HMAC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Bytes of the seed of an asymmetric key.
const SEED_BYTES: usize = 32;

/// Text that is no signing key. It does not tell the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be whsec_ with 24 to 64 bytes in base64 (HMAC-SHA256), or whsk_ with an Ed25519 key in \
     base64"
)]
pub struct InvalidSigningKey;

/// A key that notifications are signed with.
pub struct SigningKey(Kind);

enum Kind {
    Ed25519(Box<Ed25519KeyPair>),
    HmacSha256(hmac::Key),
}

impl SigningKey {
    /// Reads `whsec_…` (HMAC-SHA256) or `whsk_…` (Ed25519: the seed, perhaps followed by the public
    /// key).
    ///
    /// # Errors
    ///
    /// [`InvalidSigningKey`] for anything else, also for a public key that is not the seed's.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningKey> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| InvalidSigningKey);
        if let Some(secret) = text.strip_prefix("whsec_") {
            let secret = decode(secret)?;
            if !HMAC_BYTES.contains(&secret.len()) {
                return Err(InvalidSigningKey);
            }
            return Ok(Self(Kind::HmacSha256(hmac::Key::new(hmac::HMAC_SHA256, &secret))));
        }
        let key = decode(text.strip_prefix("whsk_").ok_or(InvalidSigningKey)?)?;
        let pair = match key.split_at_checked(SEED_BYTES) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err(InvalidSigningKey),
        };
        pair.map(|pair| Self(Kind::Ed25519(Box::new(pair)))).map_err(|_| InvalidSigningKey)
    }

    /// The public key that receivers need, in the specification's form; none for a symmetric key.
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Kind::Ed25519(pair) => Some(format!("whpk_{}", STANDARD.encode(pair.public_key()))),
            Kind::HmacSha256(_) => None,
        }
    }

    fn sign(&self, content: &[u8]) -> String {
        match &self.0 {
            Kind::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(content))),
            Kind::HmacSha256(key) => format!("v1,{}", STANDARD.encode(hmac::sign(key, content))),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The value of `webhook-signature` for this message.
pub(crate) fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut content = format!("{id}.{timestamp}.").into_bytes();
    content.extend_from_slice(body);
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(&content)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests;
