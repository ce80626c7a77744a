//! The page's text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::markers::Versions;
use super::{Conformance, Level, Requirement};

const HEAD: &str = "\
# Conformance

What a FHIR subscription server has to do, requirement by requirement, and the tests that prove that
Cresset does it. Written by `cargo xtask conformance`; do not edit. The requirements are those of the
Subscriptions R5 Backport guide 1.1.0 for R4 and R4B and of FHIR R5, restated in
`crates/conformance/requirements.toml`.

Levels: SHALL, SHALL NOT, SHOULD, SHOULD NOT and MAY as the source states; INF is demanded by the
Inferno test kit only; REC is our choice where the sources are silent or disagree. A test without
versions behind it runs for all that the requirement names.
";

/// The sections, by the letters of the IDs.
const SECTIONS: [(&str, &str); 9] = [
    ("CF", "Conformance and capability"),
    ("TP", "Topics"),
    ("SB", "Subscriptions"),
    ("FL", "Filters"),
    ("CH", "Channels"),
    ("NB", "Notification bundles"),
    ("OP", "Operations"),
    ("ER", "Errors and recovery"),
    ("SS", "Safety and security"),
];

pub(super) fn render(conformance: &Conformance) -> String {
    let mut out = HEAD.to_owned();
    totals(conformance, &mut out);
    for (letters, title) in SECTIONS {
        let prefix = format!("RQ-{letters}-");
        let mut rows: Vec<&Requirement> =
            conformance.requirements.iter().filter(|one| one.id.starts_with(&prefix)).collect();
        rows.sort_by_key(|one| &one.id);
        line(&mut out, format_args!("\n## {title}\n"));
        line(
            &mut out,
            format_args!("| ID | level | versions | requirement | source | proven by |"),
        );
        line(&mut out, format_args!("|---|---|---|---|---|---|"));
        for one in rows {
            let cells = [
                one.id.as_str(),
                level(one.level),
                &one.versions.iter().map(|one| one.name()).collect::<Vec<_>>().join(" "),
                &one.summary,
                &one.source,
                &proof(conformance, &one.id),
            ];
            line(&mut out, format_args!("| {} |", cells.map(escape).join(" | ")));
        }
    }
    out
}

fn totals(conformance: &Conformance, out: &mut String) {
    line(out, format_args!("\n| level | requirements | proven |\n|---|--:|--:|"));
    let levels: BTreeSet<Level> = conformance.requirements.iter().map(|one| one.level).collect();
    for of in levels {
        let all = conformance.requirements.iter().filter(|one| one.level == of);
        let proven = all.clone().filter(|one| conformance.proofs.contains_key(&one.id));
        let counts = (all.clone().count(), proven.count());
        line(out, format_args!("| {} | {} | {} |", level(of), counts.0, counts.1));
    }
}

fn proof(conformance: &Conformance, id: &str) -> String {
    if let Some(tests) = conformance.proofs.get(id) {
        let tests: Vec<String> =
            tests.iter().map(|(test, versions)| format!("`{test}`{}", only(versions))).collect();
        return tests.join(", ");
    }
    let Some(exception) = conformance.exception(id) else {
        return "not proven yet".to_owned();
    };
    let issue = exception.issue.map(|issue| format!(" (issue {issue})")).unwrap_or_default();
    format!("not proven yet: {}{issue}", exception.reason)
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Shall => "SHALL",
        Level::ShallNot => "SHALL NOT",
        Level::Inferno => "INF",
        Level::Should => "SHOULD",
        Level::ShouldNot => "SHOULD NOT",
        Level::Recommended => "REC",
        Level::May => "MAY",
    }
}

/// The versions that a test is for, where it is not for all.
fn only(versions: &Versions) -> String {
    match versions.is_empty() {
        true => String::new(),
        false => {
            let names: Vec<&str> = versions.iter().map(|one| one.name()).collect();
            format!(" ({})", names.join(" "))
        }
    }
}

/// A cell's text must not end the cell.
fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}
