//! What a client says on a websocket.

use cresset_model::ResourceId;
use serde_json::Value;

/// Characters of a command at most; a token has 43.
const COMMAND_BYTES_MAX: usize = 4096;

/// A text frame of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Bind what a token covers (RQ-CH-42, RQ-CH-43).
    Bind(String),
    /// Bind a subscription with a search as its criteria, as the base specification of R4 says.
    BindById(ResourceId),
    /// Answer, so that the client sees that the socket lives; Medplum's.
    Ping,
    /// Let go of what a token covers; Medplum's.
    Unbind(String),
}

impl Command {
    /// The command in a frame, in each of the forms there are.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > COMMAND_BYTES_MAX {
            return None;
        }
        if text.starts_with('{') {
            let command: Value = serde_json::from_str(text).ok()?;
            return match command.get("type")?.as_str()? {
                "bind-with-token" => Some(Self::Bind(payload_token(&command)?)),
                "ping" => Some(Self::Ping),
                "unbind-from-token" => Some(Self::Unbind(payload_token(&command)?)),
                _ => None,
            };
        }
        if let Some(rest) = text.strip_prefix("bind-with-token") {
            let rest = rest.strip_prefix(':').unwrap_or(rest);
            let token = rest.starts_with(char::is_whitespace).then(|| rest.trim())?;
            return checked(token).map(Self::Bind);
        }
        let id = text.strip_prefix("bind")?;
        let id = id.strip_prefix(':').unwrap_or(id);
        let id = id.starts_with(char::is_whitespace).then(|| id.trim())?;
        ResourceId::new(id).ok().map(Self::BindById)
    }
}

fn payload_token(command: &Value) -> Option<String> {
    checked(command.get("payload")?.get("token")?.as_str()?.trim())
}

fn checked(token: &str) -> Option<String> {
    let valid = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_command_is_understood() {
        let bind = Command::Bind("abc".to_owned());
        let by_id = Command::BindById(ResourceId::new("a-1").unwrap());
        for (text, command) in [
            ("bind-with-token abc", &bind),
            (" bind-with-token   abc \n", &bind),
            ("bind-with-token: abc", &bind),
            (r#"{"type":"bind-with-token","payload":{"token":"abc"}}"#, &bind),
            ("bind a-1", &by_id),
            ("bind: a-1", &by_id),
            (r#"{"type":"ping"}"#, &Command::Ping),
            (
                r#"{"type":"unbind-from-token","payload":{"token":"abc"}}"#,
                &Command::Unbind("abc".to_owned()),
            ),
        ] {
            assert_eq!(Command::parse(text).as_ref(), Some(command), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_command() {
        let long = format!("bind-with-token {}", "a".repeat(COMMAND_BYTES_MAX));
        for text in [
            "",
            "bind-with-token",
            "bind-with-tokenabc",
            "bind",
            "binda",
            "bind a/b",
            "bind-with-token a b",
            r#"{"type":"bind","payload":{"token":"abc"}}"#,
            r#"{"type":"bind-with-token"}"#,
            r#"{"type":"unbind-from-token"}"#,
            "{",
            long.as_str(),
        ] {
            assert_eq!(Command::parse(text), None, "{text:.40}");
        }
    }
}
