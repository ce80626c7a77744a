//! The encodings of `encode`, `decode`, `escape` and `unescape`; `None` for one that is not known, or
//! for text that is not in it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

pub(super) fn encode(text: &str, encoding: &str) -> Option<String> {
    match encoding {
        "hex" => Some(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
        "base64" => Some(STANDARD.encode(text)),
        "urlbase64" => Some(URL_SAFE.encode(text)),
        _ => None,
    }
}

pub(super) fn decode(text: &str, encoding: &str) -> Option<String> {
    let bytes = match encoding {
        "hex" => {
            let digits = text.as_bytes();
            if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            let pairs = (0..text.len()).step_by(2);
            pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect::<Option<_>>()?
        }
        "base64" => STANDARD.decode(text).ok()?,
        "urlbase64" => URL_SAFE.decode(text).ok()?,
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

const HTML: [(char, &str); 5] =
    [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")];

pub(super) fn escape(text: &str, target: &str) -> Option<String> {
    match target {
        "html" => {
            let mut escaped = String::with_capacity(text.len());
            for one in text.chars() {
                match HTML.iter().find(|(plain, _)| *plain == one) {
                    Some((_, entity)) => escaped.push_str(entity),
                    None => escaped.push(one),
                }
            }
            Some(escaped)
        }
        "json" => {
            let quoted = serde_json::to_string(text).ok()?;
            Some(quoted.get(1..quoted.len() - 1)?.to_owned())
        }
        _ => None,
    }
}

pub(super) fn unescape(text: &str, target: &str) -> Option<String> {
    match target {
        "html" => {
            let mut plain = String::with_capacity(text.len());
            let mut rest = text;
            while let Some(at) = rest.find('&') {
                plain.push_str(&rest[..at]);
                rest = &rest[at..];
                let entity = HTML.iter().find(|(_, entity)| rest.starts_with(entity));
                let (one, length) = entity.map_or(('&', 1), |(one, entity)| (*one, entity.len()));
                plain.push(one);
                rest = &rest[length..];
            }
            plain.push_str(rest);
            Some(plain)
        }
        "json" => unescape_json(text),
        _ => None,
    }
}

/// Resolves JSON's escapes; quotes and line ends need none here, since the text has an end of its own.
fn unescape_json(text: &str) -> Option<String> {
    let mut quoted = String::with_capacity(text.len() + 2);
    let mut rest = text.chars();
    quoted.push('"');
    while let Some(one) = rest.next() {
        match one {
            '\\' => quoted.extend([one, rest.next()?]),
            '"' => quoted.push_str("\\\""),
            plain if plain >= ' ' => quoted.push(plain),
            control => quoted.push_str(&escape(&control.to_string(), "json")?),
        }
    }
    quoted.push('"');
    serde_json::from_str(&quoted).ok()
}
