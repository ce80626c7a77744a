//! The command line.
//!
//! It only says what was asked for: values that are also configuration stay text here and are
//! checked with the rest of it, so that all problems show at once. Its tests are in `cli/tests.rs`.

pub(crate) mod token;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Flags;

/// A FHIR topic-based subscription server for R4, R4B and R5.
#[derive(Debug, Parser)]
#[command(name = "cresset", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until it gets SIGTERM or SIGINT.
    Serve(Serve),
    /// Show or check the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Make tokens for clients.
    #[command(subcommand)]
    Token(Token),
}

/// Flags of `serve`. They override the environment, which overrides the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Serve {
    /// Configuration file in TOML; "cresset config default" shows all keys.
    #[arg(long, value_name = "FILE", env = "CRESSET_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,
    /// Directory in which everything is kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,
    /// Directory of SubscriptionTopic files to load at start.
    #[arg(long, value_name = "DIR")]
    pub(crate) topics: Option<String>,
    /// URL under which clients reach the server, without the FHIR version.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Let subscriptions name endpoints on loopback and private addresses.
    #[arg(long)]
    pub(crate) allow_local_endpoints: bool,
    /// Play a stream of changes and show the notifications of a subscriber.
    #[arg(long)]
    pub(crate) demo: bool,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print the annotated default configuration, a good start for a file.
    Default,
    /// Report everything that is wrong with a configuration, as the server would at its start.
    Check {
        /// Configuration file in TOML; environment variables CRESSET__SECTION__KEY count as well.
        #[arg(long, value_name = "FILE", env = "CRESSET_CONFIG")]
        config: Option<PathBuf>,
    },
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Print a token and the hash of it that [auth] takes.
    ///
    /// The token is read from standard input. If that is a terminal, or with --generate, a new one
    /// is made.
    Hash {
        /// Make a new token, and do not read standard input.
        #[arg(long)]
        generate: bool,
    },
}

impl Serve {
    /// The flags that are configuration.
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            listen: self.listen.clone(),
            base_url: self.base_url.clone(),
            data: self.data.clone(),
            topics: self.topics.clone(),
            allow_local_endpoints: self.allow_local_endpoints,
        }
    }
}

#[cfg(test)]
mod tests;
