//! How sources are laid out: no `mod.rs`, no code in `lib.rs`, no endless files.

#[cfg(test)]
mod tests;

use super::Faults;
use crate::workspace::Source;

/// Without tests and tables; a longer file holds a second noun.
const FILE_LINES_MAX: usize = 800;

pub(super) fn check(sources: &[Source], faults: &mut Faults) {
    for source in sources {
        let path = &source.path;
        if path.ends_with("/mod.rs") {
            faults.push(format!("{path}: name the file for its module instead"));
        }
        if path.ends_with("/src/lib.rs")
            && let Some(statement) = stray_statement(&source.text)
        {
            faults.push(format!("{path} holds more than modules and re-exports: {statement}"));
        }
        let lines = code_lines(&source.text);
        if !source.is_test() && lines > FILE_LINES_MAX {
            faults.push(format!("{path} has {lines} lines, more than {FILE_LINES_MAX}"));
        }
    }
}

/// Lines before the tests that stand in the same file.
fn code_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let inline_tests = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]"
            && pair[1].trim_start().starts_with("mod ")
            && pair[1].trim_end().ends_with('{')
    });
    inline_tests.unwrap_or(lines.len())
}

/// The first statement of a `lib.rs` that is neither `mod` nor `use`.
fn stray_statement(text: &str) -> Option<String> {
    let mut code = String::new();
    for line in text.lines() {
        let line = line.trim();
        let is_comment = line.starts_with("//");
        let is_attribute = line.starts_with("#[") || line.starts_with("#![");
        if !(is_comment || is_attribute && line.ends_with(']')) {
            code.push_str(line);
            code.push(' ');
        }
    }
    code.split(';').map(str::trim).find(|one| !one.is_empty() && !is_allowed(one)).map(|one| {
        let end = one.char_indices().nth(60).map_or(one.len(), |(at, _)| at);
        one[..end].to_owned()
    })
}

fn is_allowed(statement: &str) -> bool {
    let statement = statement
        .strip_prefix("pub(crate) ")
        .or_else(|| statement.strip_prefix("pub "))
        .unwrap_or(statement);
    statement.starts_with("use ")
        || statement.strip_prefix("mod ").is_some_and(|name| !name.contains([' ', '{']))
}
