//! Logging in on a fresh connection.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::config::{Login, Mechanism};
use crate::connection::Dialogue;
use crate::error::Error;
use crate::scram::{Exchange, Failure, Hash};

/// Bytes of a nonce of SCRAM.
const NONCE_BYTES: usize = 18;

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Authentication => Self::Authentication,
            Failure::Message => Self::Protocol("its messages of SCRAM are not as they should be"),
        }
    }
}

/// Logs in. Gives how long the broker lets the connection be used, where it says so.
pub(crate) async fn log_in(
    dialogue: &mut Dialogue,
    login: &Login,
) -> Result<Option<Duration>, Error> {
    let mechanism = StrBytes::from_static_str(login.mechanism.name());
    let handshake = SaslHandshakeRequest::default().with_mechanism(mechanism);
    let answer = dialogue.ask(&handshake).await?;
    if answer.error_code != 0 {
        return Err(Error::Protocol("it does not offer the mechanism for the login"));
    }
    match login.mechanism {
        Mechanism::Plain => {
            let token = format!("\0{}\0{}", login.user, login.password);
            let (_, lifetime) = step(dialogue, token).await?;
            Ok(lifetime)
        }
        Mechanism::ScramSha256 => scram(dialogue, login, Hash::Sha256).await,
        Mechanism::ScramSha512 => scram(dialogue, login, Hash::Sha512).await,
    }
}

async fn scram(
    dialogue: &mut Dialogue,
    login: &Login,
    hash: Hash,
) -> Result<Option<Duration>, Error> {
    let mut nonce = [0; NONCE_BYTES];
    SystemRandom::new().fill(&mut nonce).map_err(|_| Error::Protocol("no randomness here"))?;
    let nonce = STANDARD_NO_PAD.encode(nonce);
    let (exchange, first) = Exchange::begin(hash, &login.user, &login.password, &nonce);
    let (server_first, _) = step(dialogue, first).await?;
    let (proven, last) = exchange.prove(&server_first)?;
    let (server_final, lifetime) = step(dialogue, last).await?;
    proven.check(&server_final)?;
    Ok(lifetime)
}

/// Sends one message of the mechanism and gives the broker's.
async fn step(
    dialogue: &mut Dialogue,
    message: String,
) -> Result<(String, Option<Duration>), Error> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(message));
    let answer = dialogue.ask(&request).await?;
    if answer.error_code != 0 {
        return Err(Error::Authentication);
    }
    let text = String::from_utf8(answer.auth_bytes.to_vec());
    let text = text.map_err(|_| Error::Protocol("its messages of the login are no text"))?;
    let lifetime = u64::try_from(answer.session_lifetime_ms).ok().filter(|one| *one != 0);
    Ok((text, lifetime.map(Duration::from_millis)))
}
