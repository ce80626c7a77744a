//! Tokens of clients: made, checked and hashed.
//!
//! Its tests are in `cli/tests.rs`.

use std::fmt::Write;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Bytes of chance in a new token.
const TOKEN_BYTES: usize = 32;

/// Shortest token taken: with fewer characters, its hash could be tried out.
const TOKEN_LENGTH_MIN: usize = 20;

/// Longest token taken; it travels in a header.
const TOKEN_LENGTH_MAX: usize = 1024;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The system gives no random bytes.
    #[error("cannot get random bytes: {0}")]
    Random(getrandom::Error),
    /// Standard input cannot be read.
    #[error("cannot read the token from standard input")]
    Read(#[source] io::Error),
    /// What was read cannot be a bearer token.
    #[error(
        "a token has {TOKEN_LENGTH_MIN} to {TOKEN_LENGTH_MAX} letters, digits and \"-._~+/\", with \
         \"=\" only at its end; --generate makes one"
    )]
    Form,
}

/// A token that can be neither guessed nor tried out, in hexadecimal.
pub(crate) fn generate() -> Result<String, Error> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(hexadecimal(&bytes))
}

/// Reads a token, which may end with a line break.
pub(crate) fn read(input: impl Read) -> Result<String, Error> {
    let mut text = String::new();
    // One more than the longest with its line break, so that a longer one is noticed.
    let limit = TOKEN_LENGTH_MAX as u64 + 3;
    input.take(limit).read_to_string(&mut text).map_err(Error::Read)?;
    let token = text.trim_end_matches(['\r', '\n']);
    if is_bearer(token) { Ok(token.to_owned()) } else { Err(Error::Form) }
}

/// SHA-256 of a token, in hexadecimal, as `[auth]` takes it.
pub(crate) fn hash(token: &str) -> String {
    hexadecimal(&Sha256::digest(token.as_bytes()))
}

/// The form of a bearer token in a header (RFC 6750, `b64token`).
fn is_bearer(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    (TOKEN_LENGTH_MIN..=TOKEN_LENGTH_MAX).contains(&token.len())
        && !body.is_empty()
        && body.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
