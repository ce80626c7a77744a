//! Reads keys out of the merged tree and collects all that is wrong.
//!
//! A bad value is noted and replaced by the default, so that reading goes on to the next; the
//! replaced configuration is never given out. Keys that were never asked for are unknown.

use std::collections::BTreeMap;

use super::problem::{Origin, Problem};
use super::tree::{Setting, Table, Value, join};
use super::value::Kind;

/// Reads keys, by section and key (`limits.body-max`).
pub(crate) struct Reader {
    merged: Table,
    defaults: Table,
    problems: Vec<Problem>,
    known: BTreeMap<&'static str, Option<String>>,
}

impl Reader {
    /// A reader of the merged layers; `defaults` is the lowest alone.
    pub(crate) fn new(merged: Table, defaults: Table, problems: Vec<Problem>) -> Self {
        Self { merged, defaults, problems, known: BTreeMap::new() }
    }

    /// The value of a key that has a default.
    ///
    /// # Panics
    ///
    /// If `default.toml` lacks the key or holds a bad value; a test reads all of it.
    pub(crate) fn required<T: 'static>(&mut self, key: &'static str, kind: &Kind<T>) -> T {
        if let Some(value) = self.optional(key, kind) {
            return value;
        }
        let default = find(&self.defaults, key).expect("default.toml has the key");
        kind.parse(default).expect("default.toml has a good value")
    }

    /// The value of a key without a default.
    pub(crate) fn optional<T: 'static>(&mut self, key: &'static str, kind: &Kind<T>) -> Option<T> {
        self.known.insert(key, kind.bounds().map(str::to_owned));
        let setting = find(&self.merged, key)?;
        match kind.parse(setting) {
            Ok(value) => Some(value),
            Err(text) => {
                let origin = setting.origin.clone();
                self.problems.push(Problem { origin, key: key.to_owned(), text });
                None
            }
        }
    }

    /// The setting of a key as it came, for what no kind reads.
    pub(crate) fn setting(&mut self, key: &'static str) -> Option<Setting> {
        self.known.insert(key, None);
        find(&self.merged, key).cloned()
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes that keys do not go together. Says nothing if one of them was bad, or a file could not
    /// be read: the contradiction may be with a default that nobody wants.
    pub(crate) fn contradiction(&mut self, keys: &[&'static str], text: &str) {
        let spoiled = |problem: &Problem| {
            problem.key.is_empty() || keys.iter().any(|key| problem.key.starts_with(key))
        };
        if self.problems.iter().any(spoiled) {
            return;
        }
        let origins = keys.iter().filter_map(|key| find(&self.merged, key));
        let origin = origins.map(|setting| setting.origin.clone()).max();
        let key = keys.first().map_or(String::new(), |key| (*key).to_owned());
        let origin = origin.unwrap_or(Origin::Default);
        self.problems.push(Problem { origin, key, text: text.to_owned() });
    }

    /// All problems, also those of keys that nothing asked for, and the keys that are known with
    /// their bounds.
    pub(crate) fn finish(mut self) -> (Vec<Problem>, BTreeMap<&'static str, Option<String>>) {
        let merged = std::mem::take(&mut self.merged);
        self.unknown(&merged, "");
        (self.problems, self.known)
    }

    fn unknown(&mut self, table: &Table, prefix: &str) {
        for (name, setting) in table {
            let key = join(prefix, name);
            if self.known.contains_key(key.as_str()) {
                continue;
            }
            match &setting.value {
                Value::Table(inner) if !inner.is_empty() => self.unknown(inner, &key),
                Value::Table(_) if self.is_section(&key) => {}
                Value::Table(_)
                | Value::Boolean(_)
                | Value::Integer(_)
                | Value::List(_)
                | Value::Other(_)
                | Value::Plain(_)
                | Value::String(_) => {
                    let text = unknown_text(&key, self.known.keys().copied());
                    self.problems.push(Problem { origin: setting.origin.clone(), key, text });
                }
            }
        }
    }

    fn is_section(&self, key: &str) -> bool {
        self.known.keys().any(|known| known.split_once('.').is_some_and(|(name, _)| name == key))
    }
}

/// That a key is unknown, and which one may have been meant.
pub(crate) fn unknown_text<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> String {
    let key = key.replace('_', "-");
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let distance = |known: &&str| {
        // The right key in the wrong section is nearer than any slip of the pen.
        if last(known) == last(&key) { 0 } else { strsim::osa_distance(known, &key) }
    };
    let far = 1 + key.len() / 4;
    match known.min_by_key(distance).filter(|known| distance(known) <= far) {
        Some(known) => format!("unknown key, did you mean {known}?"),
        None => "unknown key".to_owned(),
    }
}

/// The setting at a path.
fn find<'t>(table: &'t Table, key: &str) -> Option<&'t Setting> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, key)) => match &table.get(section)?.value {
            Value::Table(inner) => find(inner, key),
            Value::Boolean(_)
            | Value::Integer(_)
            | Value::List(_)
            | Value::Other(_)
            | Value::Plain(_)
            | Value::String(_) => None,
        },
    }
}
