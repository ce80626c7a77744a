//! Starting other programs.

use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// A command of these words, run in the workspace.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(workspace::root());
    command
}

/// Runs it; an error when it cannot be started or ends badly.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let status = status(&mut command(words))?;
    if !status.success() {
        bail!("`{}` ended with {status}", words.join(" "));
    }
    Ok(())
}

/// Runs it to its end.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.status().with_context(|| format!("starting {name}"))
}

/// What it prints; an error when it ends badly.
pub(crate) fn output(words: &[&str]) -> Result<Vec<u8>> {
    let output = command(words).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("starting {}", words[0]))?;
    if !output.status.success() {
        bail!("`{}` ended with {}", words.join(" "), output.status);
    }
    Ok(output.stdout)
}

/// Whether it can be started and ends well; says nothing.
pub(crate) fn succeeds(words: &[&str]) -> bool {
    let mut command = command(words);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Whether this is CI, where nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Runs a step, telling when it starts and how long it took.
pub(crate) fn step<T>(name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let result = step();
    let ended = if result.is_ok() { "done" } else { "failed" };
    eprintln!("    {ended} in {:.1} s", start.elapsed().as_secs_f64());
    result
}
