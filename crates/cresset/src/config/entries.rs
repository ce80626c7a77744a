//! Lists of sections, such as `[[auth.client]]`.

use super::problem::{Origin, Problem};
use super::reader::{Reader, unknown_text};
use super::tree::{Table, Value};
use super::value::{self, Kind};

/// One section of a list.
pub(crate) struct Entry<'e> {
    reader: &'e mut Reader,
    table: &'e Table,
    origin: &'e Origin,
    prefix: String,
}

/// Reads the sections of a list, each with `read`, as far as they are good.
///
/// `keys` are those that a section may have, `max` is how many sections there may be.
pub(crate) fn read_all<T>(
    reader: &mut Reader,
    list: &'static str,
    max: usize,
    keys: &[&str],
    mut read: impl FnMut(&mut Entry<'_>) -> Option<T>,
) -> Vec<T> {
    let Some(setting) = reader.setting(list) else { return Vec::new() };
    let problem =
        |text: String| Problem { origin: setting.origin.clone(), key: list.to_owned(), text };
    let items = match value::items(&setting) {
        Some(items) if items.len() <= max => items,
        Some(items) => {
            let text = format!("must have at most {max} entries, not {}", items.len());
            reader.problem(problem(text));
            return Vec::new();
        }
        None => {
            reader.problem(problem(format!("must be a list: write [[{list}]]")));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let prefix = format!("{list}[{index}]");
        let Value::Table(table) = &item.value else {
            let text = format!("must be a section: write [[{list}]]");
            reader.problem(Problem { origin: item.origin.clone(), key: prefix, text });
            continue;
        };
        let mut entry = Entry { reader: &mut *reader, table, origin: &item.origin, prefix };
        entry.refuse_unknown(keys);
        found.extend(read(&mut entry));
    }
    found
}

impl Entry<'_> {
    /// The key of this section, for messages.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The value of a key that must be there.
    pub(crate) fn read<T: 'static>(&mut self, key: &str, kind: &Kind<T>) -> Option<T> {
        if !self.table.contains_key(key) {
            self.refuse(key, "is missing".to_owned());
        }
        self.optional(key, kind)
    }

    /// The value of a key that may be there.
    pub(crate) fn optional<T: 'static>(&mut self, key: &str, kind: &Kind<T>) -> Option<T> {
        let setting = self.table.get(key)?;
        let parsed = kind.parse(setting);
        parsed.map_err(|text| self.problem(key, setting.origin.clone(), text)).ok()
    }

    /// Notes that a key is wrong in view of others.
    pub(crate) fn refuse(&mut self, key: &str, text: String) {
        self.problem(key, self.origin.clone(), text);
    }

    fn problem(&mut self, key: &str, origin: Origin, text: String) {
        self.reader.problem(Problem { origin, key: format!("{}.{key}", self.prefix), text });
    }

    fn refuse_unknown(&mut self, keys: &[&str]) {
        for (key, setting) in self.table {
            if !keys.contains(&key.as_str()) {
                let text = unknown_text(key, keys.iter().copied());
                self.problem(key, setting.origin.clone(), text);
            }
        }
    }
}
