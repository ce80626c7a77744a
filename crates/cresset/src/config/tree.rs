//! The layers of a configuration as one tree, in which each value knows where it comes from.
//!
//! It knows TOML and the form of environment variables, but no key: which keys there are and what
//! they take is `config.rs`'s matter. Its tests are in `config/tests.rs`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problem::{Origin, Problem};

/// Environment variables that begin so are configuration.
pub(crate) const ENVIRONMENT_PREFIX: &str = "CRESSET__";

/// Largest configuration file, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 4 << 20;

/// Names and what they stand for.
pub(crate) type Table = BTreeMap<String, Setting>;

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The value.
    pub(crate) value: Value,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// A value, not yet checked against what its key takes.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// TOML's boolean.
    Boolean(bool),
    /// TOML's integer; none where it is too large for one.
    Integer(Option<i64>),
    /// TOML's array.
    List(Vec<Setting>),
    /// A TOML type that no key takes, by name.
    Other(&'static str),
    /// Text of an environment variable or flag, which becomes what its key takes.
    Plain(String),
    /// TOML's string.
    String(String),
    /// TOML's table.
    Table(Table),
}

/// The tree of a TOML document, or all its errors of form.
///
/// `origin` makes the origin of a line.
pub(crate) fn parse_toml(
    text: &str,
    origin: &dyn Fn(usize) -> Origin,
) -> Result<Table, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table(document.into_inner(), text, origin));
    }
    let problem = |error: toml::de::Error| Problem {
        origin: origin(line_of(text, error.span().map_or(0, |span| span.start))),
        key: String::new(),
        // Only the message: the full text quotes the line, which may hold what should not be seen.
        text: error.message().to_owned(),
    };
    Err(errors.into_iter().map(problem).collect())
}

/// The tree of a configuration file, or why it cannot be read.
pub(crate) fn read_file(path: &Path) -> Result<Table, Vec<Problem>> {
    let origin = |line| Origin::File { path: path.to_owned(), line };
    let unreadable =
        |text: String| vec![Problem { origin: origin(None), key: String::new(), text }];
    let bytes =
        std::fs::read(path).map_err(|error| unreadable(format!("cannot be read: {error}")))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(unreadable(format!("is larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8".to_owned()))?;
    parse_toml(&text, &|line| origin(Some(line)))
}

/// The value of an environment variable or flag in TOML's syntax.
pub(crate) fn parse_inline(text: &str, origin: &Origin) -> Option<Setting> {
    let parsed = DeValue::parse(text).ok()?;
    Some(setting(parsed, text, &|_| origin.clone()))
}

/// The path of the key that an environment variable stands for (`limits.body-max`).
pub(crate) fn environment_path(name: &str) -> Option<Vec<String>> {
    let path = name.strip_prefix(ENVIRONMENT_PREFIX)?;
    Some(path.split("__").map(|part| part.to_ascii_lowercase().replace('_', "-")).collect())
}

/// Puts a plain value at a path, over what is there.
pub(crate) fn insert(
    tree: &mut Table,
    path: &[String],
    text: String,
    origin: Origin,
) -> Result<(), Problem> {
    let setting = Setting { value: Value::Plain(text), origin: origin.clone() };
    let nested = path.iter().rev().fold(setting, |inner, name| Setting {
        value: Value::Table(BTreeMap::from([(name.clone(), inner)])),
        origin: origin.clone(),
    });
    let Value::Table(layer) = nested.value else { return Ok(()) };
    let mut problems = Vec::new();
    merge(tree, layer, "", &mut problems);
    problems.pop().map_or(Ok(()), Err)
}

/// Lays a layer over a tree: sections are merged, values replaced.
pub(crate) fn merge(tree: &mut Table, layer: Table, prefix: &str, problems: &mut Vec<Problem>) {
    for (name, setting) in layer {
        let key = join(prefix, &name);
        match tree.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(setting);
            }
            Entry::Occupied(mut occupied) => overlay(occupied.get_mut(), setting, key, problems),
        }
    }
}

/// A key with its section.
pub(crate) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn overlay(below: &mut Setting, above: Setting, key: String, problems: &mut Vec<Problem>) {
    match (&mut below.value, above.value) {
        (Value::Table(tree), Value::Table(layer)) => merge(tree, layer, &key, problems),
        (Value::Table(_), _) => {
            let text = "is a section, not a key".to_owned();
            problems.push(Problem { origin: above.origin, key, text });
        }
        (_, value) => *below = Setting { value, origin: above.origin },
    }
}

fn table(table: DeTable<'_>, text: &str, origin: &dyn Fn(usize) -> Origin) -> Table {
    let entry = |(name, value): (Spanned<DeString<'_>>, _)| {
        let line = line_of(text, name.span().start);
        let mut setting = setting(value, text, origin);
        setting.origin = origin(line);
        (name.into_inner().into_owned(), setting)
    };
    table.into_iter().map(entry).collect()
}

fn setting(value: Spanned<DeValue<'_>>, text: &str, origin: &dyn Fn(usize) -> Origin) -> Setting {
    let origin_here = origin(line_of(text, value.span().start));
    let value = match value.into_inner() {
        DeValue::Boolean(flag) => Value::Boolean(flag),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| setting(item, text, origin)).collect())
        }
        DeValue::Table(inner) => Value::Table(table(inner, text, origin)),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date or time"),
    };
    Setting { value, origin: origin_here }
}

/// The line, counted from 1, that a byte is in.
fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
