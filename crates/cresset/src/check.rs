//! `cresset check`: what a server supports of topic-based subscriptions, by requirement.
//!
//! It reads what the server says and asks what changes nothing; with `--write` it makes a subscription, looks at it
//! from all sides, and deletes it. What it cannot see from outside it does not judge. Each finding has the ID of the
//! requirement in `docs/conformance.md`.

mod reading;
mod writing;

use std::process::ExitCode;

use cresset_client::{Capabilities, Client, FhirVersion};
use serde_json::{Value, json};

use crate::cli::remote::Check;
use crate::remote::{client_of, run};
use crate::terminal::{Paint, Progress};

#[cfg(test)]
mod tests;

/// Exit code where a SHALL is broken.
const BROKEN: u8 = 2;

/// How much a requirement matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    May,
    Shall,
    Should,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Conforms,
    /// It is not as it has to be.
    Fails(String),
    /// It could not be looked at.
    Unknown(String),
}

/// One requirement and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    requirement: &'static str,
    level: Level,
    summary: &'static str,
    verdict: Verdict,
}

/// What is looked at.
struct Target<'a> {
    client: &'a Client,
    capabilities: &'a Capabilities,
    statement: &'a Value,
}

/// Probes and prints.
pub(crate) fn check(arguments: &Check) -> anyhow::Result<ExitCode> {
    let client = client_of(&arguments.server, arguments.token_file.as_deref())?;
    let (capabilities, findings) = run(async {
        let mut progress = Progress::new("probed", 2);
        let statement = client.get("metadata").await?;
        let capabilities = Capabilities::parse(&statement)?;
        let target = Target { client: &client, capabilities: &capabilities, statement: &statement };
        let mut findings = reading::probe(&target).await;
        progress.step();
        if arguments.write {
            findings.extend(writing::probe(&target, arguments.topic.as_deref()).await?);
        }
        progress.step();
        Ok((capabilities, findings))
    })?;
    findings_shown(arguments, &capabilities, &findings)?;
    let broken = findings.iter().any(Finding::breaks_a_shall);
    Ok(if broken { BROKEN.into() } else { ExitCode::SUCCESS })
}

fn findings_shown(
    arguments: &Check,
    capabilities: &Capabilities,
    findings: &[Finding],
) -> anyhow::Result<()> {
    if arguments.json {
        let json = json!({
            "server": arguments.server,
            "software": capabilities.software,
            "fhirVersion": capabilities.version.to_string(),
            "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
        });
        return crate::print(&format!("{json:#}\n"));
    }
    let paint = Paint::stdout();
    let software = capabilities.software.as_deref().unwrap_or("a server");
    let mut text = format!("{software}, FHIR {}\n", paint.bold(&capabilities.version.to_string()));
    text.extend(findings.iter().map(|finding| finding.line(paint)));
    crate::print(&text)
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::May => "MAY",
            Self::Shall => "SHALL",
            Self::Should => "SHOULD",
        }
    }
}

impl Finding {
    fn breaks_a_shall(&self) -> bool {
        self.level == Level::Shall && matches!(self.verdict, Verdict::Fails(_))
    }

    const fn verdict_and_reason(&self) -> (&'static str, Option<&String>) {
        match &self.verdict {
            Verdict::Conforms => ("conforms", None),
            Verdict::Fails(reason) => ("fails", Some(reason)),
            Verdict::Unknown(reason) => ("unknown", Some(reason)),
        }
    }

    fn json(&self) -> Value {
        let (verdict, reason) = self.verdict_and_reason();
        json!({
            "requirement": self.requirement,
            "level": self.level.word(),
            "summary": self.summary,
            "verdict": verdict,
            "reason": reason,
        })
    }

    fn line(&self, paint: Paint) -> String {
        let (verdict, reason) = self.verdict_and_reason();
        let padded = format!("{verdict:<8}");
        let verdict = match (&self.verdict, self.level) {
            (Verdict::Conforms, _) => paint.good(&padded),
            (Verdict::Fails(_), Level::Shall) => paint.bad(&padded),
            (Verdict::Fails(_) | Verdict::Unknown(_), _) => paint.odd(&padded),
        };
        let reason = reason.map(|reason| format!("\n    {}", reason.replace('\n', "\n    ")));
        format!(
            "{verdict} {:<8} {:<6} {}{}\n",
            self.requirement,
            self.level.word(),
            self.summary,
            reason.unwrap_or_default()
        )
    }
}

/// A verdict of a condition.
fn holds(condition: bool, otherwise: impl Into<String>) -> Verdict {
    if condition { Verdict::Conforms } else { Verdict::Fails(otherwise.into()) }
}

const fn shall(requirement: &'static str, summary: &'static str, verdict: Verdict) -> Finding {
    Finding { requirement, level: Level::Shall, summary, verdict }
}

const fn should(requirement: &'static str, summary: &'static str, verdict: Verdict) -> Finding {
    Finding { requirement, level: Level::Should, summary, verdict }
}

const fn may(requirement: &'static str, summary: &'static str, verdict: Verdict) -> Finding {
    Finding { requirement, level: Level::May, summary, verdict }
}

impl Target<'_> {
    const fn version(&self) -> FhirVersion {
        self.capabilities.version
    }
}
