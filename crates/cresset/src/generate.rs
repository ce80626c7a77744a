//! `cresset generate`: completions, manual page and reference, from the command line's own definition.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;
use crate::cli::remote::Generate;

#[cfg(test)]
mod tests;

/// Writes to standard output.
pub(crate) fn generate(what: &Generate) -> anyhow::Result<()> {
    let mut command = Cli::command();
    let mut bytes = Vec::new();
    match what {
        Generate::Completions { shell } => {
            clap_complete::generate(*shell, &mut command, "cresset", &mut bytes);
        }
        Generate::Man => man(&command, &mut bytes)?,
        Generate::Reference => bytes = reference(command).into_bytes(),
    }
    crate::print(&String::from_utf8(bytes)?)
}

/// One page: the program, then each command of it.
fn man(command: &Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    clap_mangen::Man::new(command.clone()).render(page)?;
    let mut all = command.clone();
    all.build();
    for (path, command) in leaves(&all, "") {
        let title = path.to_uppercase();
        page.extend_from_slice(format!(".SH \"{title}\"\n").as_bytes());
        let man = clap_mangen::Man::new(command.clone());
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        if command.get_arguments().next().is_some() {
            man.render_options_section(page)?;
        }
    }
    Ok(())
}

/// The commands that do something, with their paths.
fn leaves<'c>(command: &'c Command, path: &str) -> Vec<(String, &'c Command)> {
    let path = format!("{path} {}", command.get_name()).trim().to_owned();
    let subcommands: Vec<&Command> =
        command.get_subcommands().filter(|one| one.get_name() != "help").collect();
    if subcommands.is_empty() {
        return vec![(path, command)];
    }
    subcommands.into_iter().flat_map(|one| leaves(one, &path)).collect()
}

/// The reference: `docs/cli.md`.
fn reference(mut command: Command) -> String {
    command.build();
    let mut text = String::from(
        "# Command line\n\nMade by `cresset generate reference`; a test compares. Every command ends with 0 if it did what was asked, \
         with 1 if it could not, with 2 if it was called wrongly, and with what else is said below. `--json` is for programs. Colours are used on a terminal \
         only, and not with `NO_COLOR`. The variable `CRESSET_TOKEN` may hold the bearer token for a server.\n",
    );
    for (path, command) in leaves(&command, "") {
        let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
        let mut usage = command.clone();
        let usage = usage.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n## `{path}`\n\n{}\n\n```text\n{usage}\n```\n",
            about.unwrap_or_default()
        );
        let arguments: Vec<&Arg> =
            command.get_arguments().filter(|one| one.get_id() != "help").collect();
        if !arguments.is_empty() {
            text.push_str("\n| | |\n|---|---|\n");
        }
        for argument in arguments {
            let _ = writeln!(text, "| `{}` | {} |", name(argument), meaning(argument));
        }
    }
    text
}

fn name(argument: &Arg) -> String {
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.first().map(ToString::to_string).unwrap_or_default();
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None => value,
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults = argument.get_default_values();
    let default = defaults.first().map(|value| value.to_string_lossy().into_owned());
    let default = default.filter(|_| argument.get_action().takes_values());
    let env = argument.get_env().map(|name| format!(". Variable: `{}`", name.to_string_lossy()));
    format!(
        "{}{}{}",
        help.replace('|', "\\|"),
        default.map(|value| format!(". Default: `{value}`")).unwrap_or_default(),
        env.unwrap_or_default()
    )
}
