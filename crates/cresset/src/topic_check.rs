//! `cresset topic check`: what creating topics would say, without a server.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use cresset_model::{Issue, Severity};
use cresset_node::{TopicCheck, Versions, check_topic};
use serde_json::{Value, json};

use crate::cli::{TopicCheck as Arguments, Version};
use crate::terminal::Paint;
use crate::topics::read_file;

#[cfg(test)]
mod tests;

/// Exit code where only warnings were found and they count.
const WARNED: u8 = 1;
/// Exit code where a topic would be refused.
const REFUSED: u8 = 2;

/// Checks the files and prints what was found.
pub(crate) fn check(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let versions: Vec<_> = arguments.fhir_version.iter().copied().map(Version::fhir).collect();
    let checks: Vec<(&Path, Result<TopicCheck, String>)> = arguments
        .files
        .iter()
        .map(|file| {
            let read = read_file(file).map_err(|error| format!("{error:#}"));
            (file.as_path(), read.map(|bytes| check_topic(&bytes, &versions)))
        })
        .collect();
    let text = if arguments.json {
        format!("{:#}\n", as_json(&checks))
    } else {
        checks.iter().map(|(file, check)| shown(Paint::stdout(), file, check)).collect()
    };
    crate::print(&text)?;
    Ok(exit_code(&checks, arguments.deny_warnings).into())
}

fn exit_code(checks: &[(&Path, Result<TopicCheck, String>)], deny_warnings: bool) -> u8 {
    let has = |severity| {
        let mut all = checks.iter().filter_map(|(_, check)| check.as_ref().ok());
        all.any(|check| check.issues.iter().any(|(_, issue)| issue.severity == severity))
    };
    if checks.iter().any(|(_, check)| check.is_err()) || has(Severity::Error) {
        REFUSED
    } else if deny_warnings && has(Severity::Warning) {
        WARNED
    } else {
        0
    }
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Information => "information",
        Severity::Warning => "warning",
    }
}

fn as_json(checks: &[(&Path, Result<TopicCheck, String>)]) -> Value {
    let issue = |(versions, issue): &(Versions, Issue)| {
        json!({
            "severity": word(issue.severity),
            "code": issue.code.as_str(),
            "element": issue.expression,
            "text": issue.text,
            "versions": versions.0.iter().map(|one| one.path()).collect::<Vec<_>>(),
        })
    };
    let file = |(file, check): &(&Path, Result<TopicCheck, String>)| match check {
        Ok(check) => json!({
            "file": file.display().to_string(),
            "form": check.form.map(|form| form.name()),
            "issues": check.issues.iter().map(issue).collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "file": file.display().to_string(), "error": error }),
    };
    checks.iter().map(file).collect()
}

/// One file and its issues.
fn shown(paint: Paint, file: &Path, check: &Result<TopicCheck, String>) -> String {
    let name = paint.bold(&file.display().to_string());
    let check = match check {
        Ok(check) => check,
        Err(error) => return format!("{name}: {}: {error}\n", painted(paint, Severity::Error)),
    };
    let form = check.form.map(|form| format!(" ({})", form.name())).unwrap_or_default();
    if check.issues.is_empty() {
        return format!("{name}{form}: {}\n", paint.good("good"));
    }
    let mut text = format!("{name}{form}\n");
    for (versions, issue) in &check.issues {
        let severity = painted(paint, issue.severity);
        let code = issue.code.as_str();
        let at = issue.expression.as_deref().unwrap_or("the file");
        let of = match versions.0.len() {
            0 => String::new(),
            _ => format!(" [{versions}]"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {severity} {code} {at}{of}\n      {}", issue.text);
    }
    text
}

fn painted(paint: Paint, severity: Severity) -> String {
    match severity {
        Severity::Error => paint.bad(word(severity)),
        Severity::Information => paint.dim(word(severity)),
        Severity::Warning => paint.odd(word(severity)),
    }
}
