//! The `cresset` binary: command line, configuration and wiring.

mod brokers;
mod certificates;
mod check;
mod cli;
mod config;
mod demo;
mod explain;
mod generate;
mod mail;
mod otlp;
mod receive;
mod remote;
mod serve;
mod subscription;
mod tail;
mod telemetry;
mod terminal;
mod topic_check;
mod topics;
mod transfer;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use cli::{Cli, Command, token};

/// The system's allocator gives memory back late and contends; this one does neither.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|error| failure(&error))
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Check(arguments) => return check::check(&arguments),
        Command::Config(cli::Config::Default) => print(config::DEFAULT),
        Command::Config(cli::Config::Check { config, json }) => {
            return check_config(config.as_deref(), json);
        }
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Export(arguments) => transfer::export(&arguments),
        Command::Generate(what) => generate::generate(&what),
        Command::Import(arguments) => return transfer::import(&arguments),
        Command::Receive(arguments) => return receive::receive(&arguments),
        Command::Subscription(what) => subscription::subscription(&what),
        Command::Tail(arguments) => return tail::tail(&arguments),
        Command::Token(cli::Token::Hash { generate, json }) => hash_token(generate, json),
        Command::Topic(cli::Topic::Check(arguments)) => return topic_check::check(&arguments),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn failure(error: &anyhow::Error) -> ExitCode {
    let _shown = writeln!(io::stderr(), "cresset: {error:#}");
    ExitCode::FAILURE
}

/// Prints to standard output; a reader that has gone away is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn check_config(file: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let loaded = config::load(file, config::environment(), config::Flags::default());
    let problems = loaded.err();
    if json {
        let problems = problems.as_ref().map(config::Problems::json).unwrap_or_default();
        print(&format!("{:#}\n", json!({ "problems": problems })))?;
        return Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let Some(problems) = problems else {
        print("the configuration is good\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    let plural = if problems.len() == 1 { "problem" } else { "problems" };
    anyhow::bail!("{} {plural} in the configuration\n{problems}", problems.len())
}

fn hash_token(generate: bool, json: bool) -> anyhow::Result<()> {
    let token = if generate || io::stdin().is_terminal() {
        token::generate()?
    } else {
        token::read(io::stdin())?
    };
    let hash = token::hash(&token);
    if json {
        return print(&format!("{:#}\n", json!({ "token": token, "token-sha256": hash })));
    }
    print(&format!("token = \"{token}\"\ntoken-sha256 = \"{hash}\"\n"))
}
