//! What values keys take, and how they are read from text.
//!
//! A [`Kind`] reads a value, or says in one sentence what would be right. Bounds stand in code here
//! and in prose in `default.toml`; a test keeps them equal. Its tests are in `config/tests.rs`.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use cresset_channel::{
    AllowedDestination, Broker, InvalidAddress, IpNet, ProxyUrl, ServerAddress, parse_prefix,
};
use tracing::level_filters::LevelFilter;
use url::Url;

use super::problem::Origin;
use super::tree::{Setting, Value, parse_inline};
use super::{SearchIndex, SigningKeyText};
use crate::topics::PACKS;

/// The levels of the log, the most severe first.
pub(crate) const LEVELS: &[(&str, LevelFilter)] = &[
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Longest code of a search parameter.
const SEARCH_CODE_LENGTH_MAX: usize = 64;

/// Reads a value, or says what would be right.
type Parse<T> = dyn Fn(&Setting) -> Result<T, String>;

/// What one key takes.
pub(crate) struct Kind<T> {
    parse: Box<Parse<T>>,
    bounds: Option<String>,
}

impl<T: 'static> Kind<T> {
    /// Reads a value. The error says what would be right.
    pub(crate) fn parse(&self, setting: &Setting) -> Result<T, String> {
        (self.parse)(setting)
    }

    /// The sentence of `default.toml` that tells the bounds, where there are any.
    pub(crate) fn bounds(&self) -> Option<&str> {
        self.bounds.as_deref()
    }

    fn new(parse: impl Fn(&Setting) -> Result<T, String> + 'static) -> Self {
        Self { parse: Box::new(parse), bounds: None }
    }

    /// A kind read from text.
    fn of_text(parse: impl Fn(&str) -> Result<T, String> + 'static) -> Self {
        Self::new(move |setting| parse(text(&setting.value)?))
    }

    /// What the value becomes, or why not.
    pub(crate) fn and_then<U: 'static>(
        self,
        then: impl Fn(T) -> Result<U, String> + 'static,
    ) -> Kind<U> {
        let Self { parse, bounds } = self;
        Kind { parse: Box::new(move |setting| then(parse(setting)?)), bounds }
    }
}

/// `true` or `false`.
pub(crate) fn boolean() -> Kind<bool> {
    Kind::new(|setting| match &setting.value {
        Value::Boolean(flag) => Ok(*flag),
        Value::Plain(text) if text == "true" => Ok(true),
        Value::Plain(text) if text == "false" => Ok(false),
        other @ (Value::Integer(_)
        | Value::List(_)
        | Value::Other(_)
        | Value::Plain(_)
        | Value::String(_)
        | Value::Table(_)) => Err(format!("must be true or false, not {}", shown(other))),
    })
}

/// One of some words.
pub(crate) fn choice<T: Copy + 'static>(words: &'static [(&'static str, T)]) -> Kind<T> {
    Kind::of_text(move |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("must be one of {}, not {text:?}", words.join(", "))
        })
    })
}

/// The name of a pack of topics, as its index.
pub(crate) fn topic_pack() -> Kind<usize> {
    Kind::of_text(|text| {
        let mut packs = PACKS.iter();
        packs.position(|(name, _)| *name == text).ok_or_else(|| {
            let names: Vec<_> = PACKS.iter().map(|(name, _)| format!("{name:?}")).collect();
            format!("must be one of {}, not {text:?}", names.join(", "))
        })
    })
}

/// A whole number between two bounds, the lower at least 1.
pub(crate) fn count<T>(min: u64, max: u64) -> Kind<T>
where
    T: TryFrom<NonZeroU64> + 'static,
{
    let sentence = format!("Between {min} and {max}.");
    let parse = move |setting: &Setting| {
        let number = match &setting.value {
            Value::Integer(Some(number)) => u64::try_from(*number).ok(),
            Value::Plain(text) => text.replace('_', "").parse().ok(),
            Value::Integer(None)
            | Value::Boolean(_)
            | Value::List(_)
            | Value::Other(_)
            | Value::String(_)
            | Value::Table(_) => None,
        };
        within(number, min, max).ok_or_else(|| {
            let shown = shown(&setting.value);
            format!("must be a whole number between {min} and {max}, not {shown}")
        })
    };
    Kind { parse: Box::new(parse), bounds: Some(sentence) }
}

/// A size in bytes, with a unit, between two bounds such as `1KiB`.
pub(crate) fn size<T>(min: &'static str, max: &'static str) -> Kind<T>
where
    T: TryFrom<NonZeroU64> + 'static,
{
    let bound = |text| parse_size(text).expect("a literal of the right form");
    let (low, high) = (bound(min), bound(max));
    let parse = move |text: &str| {
        within(parse_size(text), low, high).ok_or_else(|| {
            format!("must be a size between {min} and {max} with its unit, not {text:?}")
        })
    };
    let kind = Kind::of_text(parse);
    Kind { bounds: Some(format!("Between {min} and {max}.")), ..kind }
}

/// A duration, with a unit, between two bounds such as `1s`.
pub(crate) fn duration(min: &'static str, max: &'static str) -> Kind<Duration> {
    let bound = |text| parse_duration(text).expect("a literal of the right form");
    let (low, high) = (bound(min), bound(max));
    let parse = move |text: &str| match parse_duration(text) {
        Some(duration) if (low..=high).contains(&duration) => Ok(duration),
        Some(_) | None => {
            Err(format!("must be a duration between {min} and {max} with its unit, not {text:?}"))
        }
    };
    let kind = Kind::of_text(parse);
    Kind { bounds: Some(format!("Between {min} and {max}.")), ..kind }
}

/// A list of something, at most `max` long.
pub(crate) fn list<T: 'static>(item: Kind<T>, max: usize) -> Kind<Vec<T>> {
    let bounds = match item.bounds() {
        Some(bounds) => {
            let bounds = bounds.trim_end_matches('.').replacen("Between", "Each between", 1);
            format!("{bounds}, at most {max}.")
        }
        None => format!("At most {max}."),
    };
    let parse = move |setting: &Setting| {
        let items = items(setting).ok_or_else(|| {
            format!("must be a list such as [\"…\", \"…\"], not {}", shown(&setting.value))
        })?;
        if items.len() > max {
            return Err(format!("must have at most {max} entries, not {}", items.len()));
        }
        parse_all(&item, &items)
    };
    Kind { parse: Box::new(parse), bounds: Some(bounds) }
}

/// One thing, or a list of at least one and at most `max`.
pub(crate) fn one_or_more<T: 'static>(item: Kind<T>, max: usize) -> Kind<Vec<T>> {
    Kind::new(move |setting| {
        let items = text_or_list(setting, "text or a list of texts")?;
        if items.is_empty() || items.len() > max {
            return Err(format!("must have 1 to {max} entries, not {}", items.len()));
        }
        parse_all(&item, &items)
    })
}

/// The entries of a list, or a text as the only one. The message names the kind of what is there
/// instead, never the value.
fn text_or_list(setting: &Setting, wanted: &str) -> Result<Vec<Setting>, String> {
    match &setting.value {
        Value::String(_) => Ok(vec![setting.clone()]),
        other @ (Value::Boolean(_)
        | Value::Integer(_)
        | Value::List(_)
        | Value::Other(_)
        | Value::Plain(_)
        | Value::Table(_)) => {
            items(setting).ok_or_else(|| format!("must be {wanted}, not {}", kind_of(other)))
        }
    }
}

/// Text that no message repeats.
pub(crate) fn hidden() -> Kind<String> {
    Kind::new(|setting| match &setting.value {
        Value::Plain(text) | Value::String(text) => Ok(text.clone()),
        other @ (Value::Boolean(_)
        | Value::Integer(_)
        | Value::List(_)
        | Value::Other(_)
        | Value::Table(_)) => Err(format!("must be text in quotes, not {}", kind_of(other))),
    })
}

/// Host and port of a broker.
pub(crate) fn broker_address() -> Kind<ServerAddress> {
    Kind::of_text(|text| {
        let wrong = |_: InvalidAddress| {
            format!("must be a host and a port such as \"broker.example.org:4222\", not {text:?}")
        };
        text.parse().map_err(wrong)
    })
}

/// A place in a broker: a topic or a subject.
pub(crate) fn destination(broker: Broker) -> Kind<String> {
    name().and_then(move |name| match broker.is_destination(&name) {
        true => Ok(name),
        false => Err("must be letters and digits, perhaps with dots between them".to_owned()),
    })
}

/// Places in a broker that clients may use.
pub(crate) fn allowed_destination(broker: Broker) -> Kind<AllowedDestination> {
    Kind::of_text(move |text| {
        AllowedDestination::parse(broker, text).map_err(|wrong| wrong.to_string())
    })
}

/// Keys that notifications are signed with, none or one or several; no message repeats them.
pub(crate) fn signing_keys(max: usize) -> Kind<Vec<SigningKeyText>> {
    let key =
        hidden().and_then(|text| SigningKeyText::new(text).map_err(|wrong| wrong.to_string()));
    let parse = move |setting: &Setting| {
        let items = text_or_list(setting, "a list of texts")?;
        if items.len() > max {
            return Err(format!("must have at most {max} entries, not {}", items.len()));
        }
        parse_all(&key, &items)
    };
    Kind { parse: Box::new(parse), bounds: Some(format!("At most {max}.")) }
}

/// The URL of a proxy; no message repeats it.
pub(crate) fn proxy_url() -> Kind<ProxyUrl> {
    hidden().and_then(|text| ProxyUrl::parse(&text).map_err(|wrong| wrong.to_string()))
}

/// Text that is not empty.
pub(crate) fn name() -> Kind<String> {
    Kind::of_text(|text| match text {
        "" => Err("must not be empty".to_owned()),
        text => Ok(text.to_owned()),
    })
}

/// The path of a file or directory.
pub(crate) fn path() -> Kind<PathBuf> {
    name().and_then(|text| Ok(PathBuf::from(text)))
}

/// An address and a port to listen on.
pub(crate) fn socket_address() -> Kind<SocketAddr> {
    Kind::of_text(|text| {
        text.parse().map_err(|_| {
            format!("must be an address and a port such as \"127.0.0.1:8080\", not {text:?}")
        })
    })
}

/// The URL that clients use, without a slash at its end.
pub(crate) fn base_url() -> Kind<Url> {
    Kind::of_text(|text| {
        let wrong = |what: &str| format!("must be an http or https URL {what}");
        let url = Url::parse(text).map_err(|_| wrong("such as \"https://fhir.example.org\""))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("such as \"https://fhir.example.org\""));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("without \"?\" and \"#\""));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("without a user name or password"));
        }
        Ok(url)
    })
}

/// The origin of pages in a browser, or `*` for all.
pub(crate) fn origin() -> Kind<String> {
    Kind::of_text(|text| {
        let is_origin = |url: &Url| {
            matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
        };
        if text == "*" || Url::parse(text).is_ok_and(|url| is_origin(&url)) {
            return Ok(text.to_owned());
        }
        Err(format!("must be \"*\" or an origin such as \"https://app.example.org\", not {text:?}"))
    })
}

/// An address, or a prefix of addresses.
pub(crate) fn prefix() -> Kind<IpNet> {
    Kind::of_text(|text| parse_prefix(text).map_err(|wrong| format!("{wrong}, not {text:?}")))
}

/// `"all"`, `"none"`, or codes of search parameters.
pub(crate) fn search_index(max: usize) -> Kind<SearchIndex> {
    let codes = list(search_code(), max);
    let bounds = codes.bounds.clone();
    let parse = move |setting: &Setting| match text(&setting.value) {
        Ok("all") => Ok(SearchIndex::All),
        Ok("none") => Ok(SearchIndex::None),
        Ok(_) | Err(_) => {
            let mut codes = codes.parse(setting).map_err(|text| {
                if matches!(setting.value, Value::List(_)) {
                    text
                } else {
                    "must be \"all\", \"none\" or a list of codes".to_owned()
                }
            })?;
            codes.sort_unstable();
            codes.dedup();
            Ok(SearchIndex::Listed(codes))
        }
    };
    Kind { parse: Box::new(parse), bounds }
}

fn search_code() -> Kind<String> {
    Kind::of_text(|text| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !text.is_empty() && text.len() <= SEARCH_CODE_LENGTH_MAX && text.chars().all(fits) {
            Ok(text.to_owned())
        } else {
            Err(format!("must be codes of search parameters such as \"status\", not {text:?}"))
        }
    })
}

/// The level of one part of the log, such as `cresset_node=debug`.
pub(crate) fn log_target() -> Kind<(String, LevelFilter)> {
    Kind::of_text(|text| {
        let parsed = text.split_once('=').and_then(|(target, level)| {
            let (_, level) = LEVELS.iter().find(|(word, _)| *word == level)?;
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
            (!target.is_empty() && target.chars().all(fits)).then(|| (target.to_owned(), *level))
        });
        parsed.ok_or_else(|| format!("must be such as \"cresset_node=debug\", not {text:?}"))
    })
}

/// Text, from TOML or plain.
pub(crate) fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Plain(text) | Value::String(text) => Ok(text),
        Value::Integer(Some(number)) => {
            // The usual slip: a duration or size without unit and quotes.
            Err(format!("must be text in quotes, with a unit if it has one, not {number}"))
        }
        Value::Boolean(_)
        | Value::Integer(None)
        | Value::List(_)
        | Value::Other(_)
        | Value::Table(_) => Err(format!("must be text in quotes, not {}", shown(value))),
    }
}

/// The items of a list; a plain value is split at commas unless it is written as in TOML.
pub(crate) fn items(setting: &Setting) -> Option<Vec<Setting>> {
    match &setting.value {
        Value::List(items) => Some(items.clone()),
        Value::Plain(text) if text.trim_start().starts_with('[') => {
            match parse_inline(text.trim(), &setting.origin)?.value {
                Value::List(items) => Some(items),
                Value::Boolean(_)
                | Value::Integer(_)
                | Value::Other(_)
                | Value::Plain(_)
                | Value::String(_)
                | Value::Table(_) => None,
            }
        }
        Value::Plain(text) => Some(split(text, &setting.origin)),
        Value::Boolean(_)
        | Value::Integer(_)
        | Value::Other(_)
        | Value::String(_)
        | Value::Table(_) => None,
    }
}

/// All items, or what is wrong with any of them.
fn parse_all<T: 'static>(kind: &Kind<T>, items: &[Setting]) -> Result<Vec<T>, String> {
    let mut parsed = Vec::with_capacity(items.len());
    let mut wrong = Vec::new();
    for item in items {
        match kind.parse(item) {
            Ok(value) => parsed.push(value),
            Err(text) => wrong.push(text),
        }
    }
    if wrong.is_empty() { Ok(parsed) } else { Err(wrong.join("; ")) }
}

fn split(text: &str, origin: &Origin) -> Vec<Setting> {
    let plain = |item: &str| Setting {
        value: Value::Plain(item.trim().to_owned()),
        origin: origin.clone(),
    };
    text.split(',').map(plain).collect()
}

/// The value in a message: short, and text in quotes.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Boolean(flag) => flag.to_string(),
        Value::Integer(Some(number)) => number.to_string(),
        Value::Integer(None) => "such a large number".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Other(what) => (*what).to_owned(),
        Value::Plain(text) | Value::String(text) => format!("{text:?}"),
        Value::Table(_) => "a section".to_owned(),
    }
}

/// What a value is, without telling it.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "true or false",
        Value::Integer(_) => "a number",
        Value::List(_) => "a list",
        Value::Other(what) => what,
        Value::Plain(_) | Value::String(_) => "text",
        Value::Table(_) => "a section",
    }
}

fn within<T: TryFrom<NonZeroU64>>(number: Option<u64>, min: u64, max: u64) -> Option<T> {
    let number = number.filter(|number| (min..=max).contains(number))?;
    T::try_from(NonZeroU64::new(number)?).ok()
}

/// `30s`, or several units, the larger first: `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    let mut unit_before = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let unit_length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_length);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => return None,
        };
        if milliseconds >= unit_before {
            return None;
        }
        unit_before = milliseconds;
        total = total.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// `10MiB` or `10 MiB`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let bytes = match unit.trim_start() {
        "B" => 1,
        "kB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}
