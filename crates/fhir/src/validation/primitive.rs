//! The forms of primitive types.

use jiff::civil::Date;
use serde_json::Value;

use super::narrative;

/// Most characters of a string (FHIR: "Strings SHALL NOT exceed 1,048,576 characters").
const STRING_CHARACTERS_MAX: usize = 1_048_576;

/// A primitive type, told apart by what its values look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primitive {
    Base64Binary,
    Boolean,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Integer64,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Uuid,
    Xhtml,
}

impl Primitive {
    /// The primitive type of this name; FHIRPath's system types count as FHIR's.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "base64Binary" => Self::Base64Binary,
            "boolean" | "System.Boolean" => Self::Boolean,
            "canonical" | "uri" | "url" => Self::Uri,
            "code" => Self::Code,
            "date" | "System.Date" => Self::Date,
            "dateTime" | "System.DateTime" => Self::DateTime,
            "decimal" | "System.Decimal" => Self::Decimal,
            "id" => Self::Id,
            "instant" => Self::Instant,
            "integer" | "System.Integer" => Self::Integer,
            "integer64" => Self::Integer64,
            "markdown" | "string" | "System.String" => Self::String,
            "oid" => Self::Oid,
            "positiveInt" => Self::PositiveInt,
            "time" | "System.Time" => Self::Time,
            "unsignedInt" => Self::UnsignedInt,
            "uuid" => Self::Uuid,
            "xhtml" => Self::Xhtml,
            _ => return None,
        })
    }

    /// Whether a value is one of the type.
    ///
    /// # Errors
    /// What it must be.
    pub(super) fn check(self, value: &Value) -> Result<(), &'static str> {
        match self {
            Self::Boolean => value.is_boolean().then_some(()).ok_or("must be true or false"),
            Self::Decimal => value.is_number().then_some(()).ok_or("must be a number"),
            Self::Integer => integer(value, i64::from(i32::MIN), "must be an integer of 32 bits"),
            Self::PositiveInt => integer(value, 1, "must be an integer from 1 to 2147483647"),
            Self::UnsignedInt => integer(value, 0, "must be an integer from 0 to 2147483647"),
            // R5 says that it is a string; HL7's own examples have numbers, so both are read (TR-03).
            Self::Integer64 if value.is_number() => {
                let text = value.as_number().map_or("", |number| number.as_str());
                is_integer64(text).then_some(()).ok_or("must be an integer of 64 bits")
            }
            Self::Base64Binary
            | Self::Code
            | Self::Date
            | Self::DateTime
            | Self::Id
            | Self::Instant
            | Self::Integer64
            | Self::Oid
            | Self::String
            | Self::Time
            | Self::Uri
            | Self::Uuid
            | Self::Xhtml => self.check_text(value.as_str().ok_or("must be a string")?),
        }
    }

    fn check_text(self, text: &str) -> Result<(), &'static str> {
        if text.is_empty() {
            return Err("must not be empty");
        }
        let (is_good, what) = match self {
            Self::Base64Binary => (is_base64(text), "must be base64"),
            Self::Code => (is_code(text), "must be a code, without white space around it"),
            Self::Date => (is_date(text), "must be a date: YYYY, YYYY-MM or YYYY-MM-DD"),
            Self::DateTime => (
                is_date_time(text),
                "must be a date or a date with time and offset, as in 2026-01-31T08:30:00Z",
            ),
            Self::Id => (is_id(text), "must be 1 to 64 characters of A-Z a-z 0-9 - ."),
            Self::Instant => (
                is_instant(text),
                "must be a date with time and offset, as in 2026-01-31T08:30:00Z",
            ),
            Self::Integer64 => (is_integer64(text), "must be an integer of 64 bits, as a string"),
            Self::Oid => (is_oid(text), "must be an OID, as in urn:oid:1.2.3"),
            Self::String => (
                is_string(text),
                "must have visible characters, no control ones, and 1,048,576 characters at most",
            ),
            Self::Time => (is_time(text), "must be a time: hh:mm:ss"),
            Self::Uri => (!has_white_space(text), "must be a URI, without white space"),
            Self::Uuid => (is_uuid(text), "must be a UUID, as in urn:uuid:… with lower case"),
            Self::Xhtml => return narrative::check(text),
            Self::Boolean
            | Self::Decimal
            | Self::Integer
            | Self::PositiveInt
            | Self::UnsignedInt => (false, "must not be a string"),
        };
        is_good.then_some(()).ok_or(what)
    }
}

fn integer(value: &Value, low: i64, what: &'static str) -> Result<(), &'static str> {
    let number = value.as_number().filter(|number| {
        let text = number.as_str();
        text != "-0" && !text.contains(['.', 'e', 'E'])
    });
    let in_range = |number: i64| (low..=i64::from(i32::MAX)).contains(&number);
    number.and_then(serde_json::Number::as_i64).is_some_and(in_range).then_some(()).ok_or(what)
}

/// Whether all bytes are such. Without an end at the first that is not, so that the compiler looks at
/// many at once.
fn all_bytes(text: &str, is_such: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_such(byte))
}

fn has_white_space(text: &str) -> bool {
    let has_none = all_bytes(text, |byte| byte > b' ' && byte.is_ascii());
    !has_none && text.contains(char::is_whitespace)
}

fn is_string(text: &str) -> bool {
    all_bytes(text, |byte| byte >= b' ' || matches!(byte, b'\n' | b'\r' | b'\t'))
        && (text.len() <= STRING_CHARACTERS_MAX || text.chars().count() <= STRING_CHARACTERS_MAX)
        && text.contains(|letter: char| !letter.is_whitespace())
}

fn is_code(text: &str) -> bool {
    !has_white_space(text)
        || text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
}

fn is_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    text.len() <= 64 && all_bytes(text, is_allowed)
}

fn is_base64(text: &str) -> bool {
    let mut digits = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => digits += 1,
            b'=' => padding += 1,
            b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => return false,
        }
    }
    padding <= 2 && (digits + padding).is_multiple_of(4)
}

fn is_integer64(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits == "0" && digits.len() == text.len() || !digits.starts_with('0');
    is_plain && digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok()
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else { return false };
    let is_arc = |arc: &str| {
        arc.bytes().all(|byte| byte.is_ascii_digit())
            && !arc.is_empty()
            && (arc == "0" || !arc.starts_with('0'))
    };
    let mut arcs = arcs.split('.');
    arcs.next().is_some_and(|arc| matches!(arc, "0" | "1" | "2"))
        && arcs.clone().next().is_some()
        && arcs.all(is_arc)
}

fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else { return false };
    uuid.len() == 36
        && uuid.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// A number of exactly this many digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let year = parts.next().and_then(|year| digits(year, 4)).filter(|year| *year > 0);
    let Some(year) = year else { return false };
    let month = match parts.next().map(|month| digits(month, 2)) {
        None => return true,
        Some(Some(month @ 1..=12)) => month,
        Some(_) => return false,
    };
    let day = match parts.next().map(|day| digits(day, 2)) {
        None => return true,
        Some(Some(day)) => day,
        Some(None) => return false,
    };
    let date = (i16::try_from(year), i8::try_from(month), i8::try_from(day));
    let (Ok(year), Ok(month), Ok(day)) = date else { return false };
    parts.next().is_none() && Date::new(year, month, day).is_ok()
}

fn is_date_time(text: &str) -> bool {
    if text.contains('T') { is_instant(text) } else { is_date(text) }
}

fn is_instant(text: &str) -> bool {
    let Some((date, rest)) = text.split_once('T') else { return false };
    let time = rest.strip_suffix('Z').or_else(|| {
        let (time, offset) = rest.split_at_checked(rest.rfind(['+', '-'])?)?;
        is_offset(&offset[1..]).then_some(time)
    });
    date.len() == 10 && is_date(date) && time.is_some_and(is_time)
}

fn is_offset(text: &str) -> bool {
    let Some((hours, minutes)) = text.split_once(':') else { return false };
    match (digits(hours, 2), digits(minutes, 2)) {
        (Some(hours), Some(minutes)) => hours < 14 && minutes < 60 || hours == 14 && minutes == 0,
        _ => false,
    }
}

/// `hh:mm:ss` with any fraction of the second; 60 is a leap second.
fn is_time(text: &str) -> bool {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let is_fraction =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = clock.split(':').map(|part| digits(part, 2));
    let is_clock = matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (Some(Some(0..=23)), Some(Some(0..=59)), Some(Some(0..=60)), None)
    );
    is_clock && fraction.is_none_or(is_fraction)
}
