//! The reference page, made from `default.toml`.
//!
//! The file's form is simple enough to be read by line: prose after `# `, keys as TOML has them, and
//! keys without a default after a bare `#`.

use std::fmt::Write;

use super::DEFAULT;

const HEAD: &str = "<!-- Made from crates/cresset/src/default.toml; UPDATE_GOLDEN=1 cargo test -p \
                    cresset rewrites it. -->\n\n# Configuration\n\n";

/// One part of `default.toml`.
enum Part<'t> {
    /// `key = value`; without a default where it stands after `#`.
    Key { name: &'t str, value: &'t str, has_default: bool },
    /// `[name]` or `[[name]]`, brackets included.
    Section(&'t str),
}

/// The page, in Markdown.
pub(crate) fn render() -> String {
    let mut page = HEAD.to_owned();
    let mut prose: Vec<&str> = Vec::new();
    let mut section = String::new();
    let mut seen_part = false;
    for line in DEFAULT.lines() {
        if line == "#" {
            prose.push("");
        } else if let Some(text) = line.strip_prefix("# ") {
            prose.push(text);
        } else if let Some(part) = part(line) {
            seen_part = true;
            render_part(&mut page, &part, &prose, &mut section);
            prose.clear();
        } else if !seen_part && !prose.is_empty() {
            // The first block, before any section, introduces the file as a whole.
            render_prose(&mut page, &prose);
            prose.clear();
        }
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn part(line: &str) -> Option<Part<'_>> {
    let (line, has_default) = match line.strip_prefix('#') {
        Some(line) => (line, false),
        None => (line, true),
    };
    if line.starts_with('[') {
        return Some(Part::Section(line));
    }
    let (name, value) = line.split_once(" = ")?;
    Some(Part::Key { name, value, has_default })
}

fn render_part(page: &mut String, part: &Part<'_>, prose: &[&str], section: &mut String) {
    // Writing to a string cannot fail.
    let _written = match part {
        Part::Section(brackets) => {
            *section = brackets.trim_matches(['[', ']']).to_owned();
            writeln!(page, "## `{brackets}`\n")
        }
        Part::Key { name, value, has_default } => {
            let about = if *has_default { "Default" } else { "No default; for example" };
            // Keys of a list of sections have no variable each.
            let variable = if section.contains('.') {
                String::new()
            } else {
                format!(" · `{}`", environment_name(section, name))
            };
            writeln!(page, "### `{section}.{name}`\n\n{about} `{value}`{variable}\n")
        }
    };
    render_prose(page, prose);
}

fn render_prose(page: &mut String, prose: &[&str]) {
    for line in prose {
        page.push_str(line);
        page.push('\n');
    }
    page.push('\n');
}

/// The variable that overrides a key.
fn environment_name(section: &str, key: &str) -> String {
    let part = |text: &str| text.to_ascii_uppercase().replace('-', "_");
    format!("CRESSET__{}__{}", part(section), part(key))
}
