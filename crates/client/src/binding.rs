//! The tokens that bind a websocket to a subscription.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::error::Error;
use crate::json::{items, named_text};

/// A token is renewed when this much of its life is left, if that is no more than a quarter of it.
const MARGIN: Duration = Duration::from_secs(60);
/// Tokens are not renewed more often, whatever the server and the clocks say.
const RENEWAL_MIN: Duration = Duration::from_secs(5);
/// Tokens are renewed no later, however long they live.
const RENEWAL_MAX: Duration = Duration::from_secs(60 * 60);

/// What `$get-ws-binding-token` answers.
#[derive(Clone, PartialEq, Eq)]
pub struct BindingToken {
    /// The token, a secret.
    pub token: String,
    /// When it ends, where told.
    pub expiration: Option<Timestamp>,
    /// Where to bind.
    pub websocket_url: String,
}

impl BindingToken {
    pub(crate) fn parse(parameters: &Value) -> Result<Self, Error> {
        let parameters = items(parameters, "parameter");
        let url = named_text(parameters, "websocket-url");
        Ok(Self {
            token: named_text(parameters, "token").ok_or(Error::Answer("there is no token"))?,
            expiration: named_text(parameters, "expiration").and_then(|text| text.parse().ok()),
            websocket_url: url.ok_or(Error::Answer("there is no websocket-url"))?,
        })
    }

    /// How long to wait before getting another one.
    pub fn renewal_delay(&self, now: Timestamp) -> Duration {
        let Some(expiration) = self.expiration else { return RENEWAL_MAX };
        let left = expiration.duration_since(now).try_into().unwrap_or(Duration::ZERO);
        (left - MARGIN.min(left / 4)).clamp(RENEWAL_MIN, RENEWAL_MAX)
    }
}

impl fmt::Debug for BindingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindingToken")
            .field("expiration", &self.expiration)
            .field("websocket_url", &self.websocket_url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(expiration: &str) -> BindingToken {
        let parameters = json!({"resourceType": "Parameters", "parameter": [
            {"name": "token", "valueString": "secret"},
            {"name": "expiration", "valueDateTime": expiration},
            {"name": "websocket-url", "valueUrl": "wss://h/ws"},
        ]});
        BindingToken::parse(&parameters).expect("a token")
    }

    #[test]
    fn a_token_is_renewed_before_its_end_and_never_all_the_time() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
        for (expiration, seconds) in [
            ("2026-01-01T00:10:00Z", 540),
            ("2026-01-01T00:00:40Z", 30),
            ("2026-01-01T01:00:00+01:00", 5),
            ("2025-01-01T00:00:00Z", 5),
            ("2099-01-01T00:00:00Z", 3600),
            ("soon", 3600),
        ] {
            assert_eq!(token(expiration).renewal_delay(now).as_secs(), seconds, "{expiration}");
        }
    }

    #[test]
    fn a_token_is_not_shown_and_one_without_an_address_is_refused() {
        assert!(!format!("{:?}", token("soon")).contains("secret"));
        let parameters = json!({"parameter": [{"name": "token", "valueString": "secret"}]});
        assert!(matches!(BindingToken::parse(&parameters), Err(Error::Answer(_))));
    }
}
