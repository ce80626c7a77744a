//! SCRAM (RFC 5802, RFC 7677): a user proves that it knows the password, and the broker that it
//! knows it too, without either telling it. Pure. Its tests are in `scram/tests.rs`.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// Fewest rounds of hashing that a broker may ask for: with fewer, who listens could guess.
const ROUNDS_MIN: u32 = 4096;
/// Most rounds that a broker may ask for: more would keep this machine busy. Kafka's own limit.
const ROUNDS_MAX: u32 = 16_384;

/// The hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// Why the exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The broker says no, or cannot prove that it knows the password.
    Authentication,
    /// A message that the exchange does not know, or that asks for too little or too much.
    Message,
}

/// The exchange after the client's first message.
pub(crate) struct Exchange {
    hash: Hash,
    password: String,
    nonce: String,
    first_bare: String,
}

/// The exchange after the client's proof.
pub(crate) struct Proven {
    server_key: hmac::Key,
    signed: String,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    /// The password, salted and hashed `rounds` times.
    fn salted(self, password: &str, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let mut salted = vec![0; self.digest().output_len()];
        pbkdf2::derive(self.pbkdf2(), rounds, salt, password.as_bytes(), &mut salted);
        salted
    }
}

impl Exchange {
    /// Begins, with a nonce that was never used before; gives the client's first message.
    pub(crate) fn begin(hash: Hash, user: &str, password: &str, nonce: &str) -> (Self, String) {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        let message = format!("n,,{first_bare}");
        let (password, nonce) = (password.to_owned(), nonce.to_owned());
        (Self { hash, password, nonce, first_bare }, message)
    }

    /// Answers the broker's first message with the proof.
    pub(crate) fn prove(self, server_first: &str) -> Result<(Proven, String), Failure> {
        let mut parts = server_first.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
        // An extension that must be understood would come first, and is not.
        let nonce = part("r=").ok_or(Failure::Message)?;
        let salt = part("s=").and_then(|salt| STANDARD.decode(salt).ok());
        let salt = salt.ok_or(Failure::Message)?;
        let rounds = part("i=").and_then(|rounds| rounds.parse().ok());
        let rounds: NonZeroU32 = rounds.ok_or(Failure::Message)?;
        let fresh = nonce.strip_prefix(&self.nonce).is_some_and(|theirs| !theirs.is_empty());
        if !fresh || !(ROUNDS_MIN..=ROUNDS_MAX).contains(&rounds.get()) {
            return Err(Failure::Message);
        }
        let salted = self.hash.salted(&self.password, &salt, rounds);
        let salted = hmac::Key::new(self.hash.hmac(), &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(self.hash.digest(), client_key.as_ref());
        let stored_key = hmac::Key::new(self.hash.hmac(), stored_key.as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = hmac::sign(&stored_key, signed.as_bytes());
        let bytes = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = bytes.map(|(key, signature)| key ^ signature).collect();
        let server_key =
            hmac::Key::new(self.hash.hmac(), hmac::sign(&salted, b"Server Key").as_ref());
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((Proven { server_key, signed }, message))
    }
}

impl Proven {
    /// Checks the broker's last message.
    pub(crate) fn check(&self, server_final: &str) -> Result<(), Failure> {
        let Some(signature) = server_final.split(',').next().and_then(|one| one.strip_prefix("v="))
        else {
            return Err(Failure::Authentication);
        };
        let signature = STANDARD.decode(signature).map_err(|_| Failure::Message)?;
        hmac::verify(&self.server_key, self.signed.as_bytes(), &signature)
            .map_err(|_| Failure::Authentication)
    }
}

#[cfg(test)]
mod tests;
