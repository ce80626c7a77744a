//! FHIR's `instant`: how we write it, and which texts are one.

use jiff::Timestamp;

/// The instant in UTC with milliseconds: `2026-01-01T00:00:00.000Z`.
pub(crate) fn instant(timestamp: Timestamp) -> String {
    format!("{timestamp:.3}")
}

/// Reads an instant: date, time to the second or finer, and a zone.
///
/// jiff reads more than FHIR allows (a blank for the `T`, no seconds), so the form is checked first.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let pattern = b"dddd-dd-ddTdd:dd:dd";
    let head = bytes.get(..pattern.len())?;
    let matches = head.iter().zip(pattern).all(|(byte, expected)| match expected {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    });
    if !matches {
        return None;
    }
    let rest = &text[pattern.len()..];
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            // Nanoseconds are as fine as a timestamp gets; what is finer is cut off.
            (&rest[..digits.min(9)], &rest[digits..])
        }
        None => ("", rest),
    };
    let zone_matches = match zone.as_bytes() {
        [b'Z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    if !zone_matches {
        return None;
    }
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{}{dot}{fraction}{zone}", &text[..pattern.len()]).parse().ok()
}
