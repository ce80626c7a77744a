//! ARCHITECTURE.md stays short, and each invariant names a test that exists.

#[cfg(test)]
mod tests;

use anyhow::Result;

use super::Faults;
use crate::workspace::{self, Source};

const LINES_MAX: usize = 300;

/// The invariants that have to be proven by now.
const INVARIANTS: [&str; 11] = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11"];

pub(super) fn check(sources: &[Source], faults: &mut Faults) -> Result<()> {
    if !workspace::root().join("ARCHITECTURE.md").exists() {
        return Ok(());
    }
    let text = workspace::read("ARCHITECTURE.md")?;
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("ARCHITECTURE.md has {lines} lines, more than {LINES_MAX}"));
    }
    for invariant in INVARIANTS {
        let Some(paragraph) = paragraph(&text, invariant) else {
            faults.push(format!("ARCHITECTURE.md does not tell of invariant {invariant}"));
            continue;
        };
        let names = test_names(&paragraph);
        if names.is_empty() {
            faults.push(format!("ARCHITECTURE.md names no test of invariant {invariant}"));
        }
        for name in names.iter().filter(|name| !exists(name, sources)) {
            faults.push(format!("ARCHITECTURE.md: {invariant} names {name}, which is no test"));
        }
    }
    Ok(())
}

/// The lines about an invariant: from the one that begins with it to the next item or blank line.
fn paragraph(text: &str, invariant: &str) -> Option<String> {
    let begins = |line: &str| {
        let line = line.trim_start_matches(['-', '*', '|', '#', ' ']);
        line.strip_prefix(invariant)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    let mut lines = text.lines().skip_while(|line| !begins(line));
    let first = lines.next()?;
    let rest = lines.take_while(|line| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with(['-', '*', '|', '#'])
    });
    Some(std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n"))
}

/// What stands in backticks and looks like a test: a sentence in snake case, maybe with its path.
fn test_names(paragraph: &str) -> Vec<&str> {
    let quoted = paragraph.split('`').skip(1).step_by(2);
    let names = quoted.map(|text| text.rsplit("::").next().unwrap_or_default());
    names.filter(|name| is_sentence(name)).collect()
}

fn is_sentence(name: &str) -> bool {
    let is_snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.matches('_').count() >= 2 && name.chars().all(is_snake)
}

/// Whether a function of this name stands in a source, below a test attribute or in `proptest!`.
fn exists(name: &str, sources: &[Source]) -> bool {
    let function = format!("fn {name}(");
    sources.iter().any(|source| {
        source.text.contains(&function)
            && (source.text.contains("#[test]") || source.text.contains("::test"))
    })
}
