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
        Command::Config(cli::Config::Check { config }) => check_config(config.as_deref()),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Export(arguments) => transfer::export(&arguments),
        Command::Generate(what) => generate::generate(&what),
        Command::Import(arguments) => return transfer::import(&arguments),
        Command::Receive(arguments) => return receive::receive(&arguments),
        Command::Subscription(what) => subscription::subscription(&what),
        Command::Tail(arguments) => return tail::tail(&arguments),
        Command::Token(cli::Token::Hash { generate }) => hash_token(generate),
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

fn check_config(file: Option<&Path>) -> anyhow::Result<()> {
    match config::load(file, config::environment(), config::Flags::default()) {
        Ok(_) => print("the configuration is good\n"),
        Err(problems) => {
            let plural = if problems.len() == 1 { "problem" } else { "problems" };
            anyhow::bail!("{} {plural} in the configuration\n{problems}", problems.len())
        }
    }
}

fn hash_token(generate: bool) -> anyhow::Result<()> {
    let token = if generate || io::stdin().is_terminal() {
        token::generate()?
    } else {
        token::read(io::stdin())?
    };
    let hash = token::hash(&token);
    print(&format!("token = \"{token}\"\ntoken-sha256 = \"{hash}\"\n"))
}
