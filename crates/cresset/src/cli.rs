//! The command line.
//!
//! It only says what was asked for: values that are also configuration stay text here and are
//! checked with the rest of it, so that all problems show at once. Its tests are in `cli/tests.rs`.

pub(crate) mod remote;
pub(crate) mod token;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use cresset_fhir::FhirVersion;

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
    /// Probe what a server supports of topic-based subscriptions, by requirement.
    ///
    /// Ends with 0 if nothing that was probed breaks a SHALL, with 2 if something does, and with 1 if the
    /// server could not be probed.
    Check(remote::Check),
    /// Show or check the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Ask a server why a change is an event of a subscription, or is not.
    Explain(Explain),
    /// Write the topics and subscriptions of a server to a file.
    ///
    /// What subscriptions send along is in it as it is, such as a token in a header: keep the file like one.
    Export(remote::Export),
    /// Write completions, the manual page or the reference of this command line.
    #[command(subcommand)]
    Generate(remote::Generate),
    /// Create the topics and subscriptions of a file on a server, which may be of another FHIR version.
    ///
    /// Subscriptions get new ids and begin anew; those with status off or entered-in-error are left out unless --off is given.
    /// Ends with 0 if no other is missing, with 2 if some were refused or have no form in the other version, and with 1 if the
    /// server could not be asked.
    Import(remote::Import),
    /// Be an endpoint of rest-hook subscriptions: answer and print what comes.
    Receive(remote::Receive),
    /// List, show or change the subscriptions of a server.
    #[command(subcommand)]
    Subscription(remote::Subscription),
    /// Print the events of a topic as they come, from any server, without missing one.
    ///
    /// Events go to standard output, and what happens to the connection to standard error. Ctrl-C deletes the
    /// subscription and ends it with 0; 1 says that it could not go on, 3 that the server had lost events for
    /// good, 4 that its event numbers cannot be true.
    Tail(remote::Tail),
    /// Make tokens for clients.
    #[command(subcommand)]
    Token(Token),
    /// Check topics.
    #[command(subcommand)]
    Topic(Topic),
}

/// A FHIR version, as in the path of its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    R4,
    R4b,
    R5,
}

/// What to explain, and whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group = ArgGroup::new("subject").required(true).args(["subscription", "topic"]))]
#[command(group = ArgGroup::new("change").required(true).multiple(true)
    .args(["focus", "changes", "previous", "current"]))]
pub(crate) struct Explain {
    /// URL of the server, without the FHIR version.
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    /// FHIR version of the base to ask.
    #[arg(long, value_name = "VERSION", default_value = "r4")]
    pub(crate) fhir_version: Version,
    /// Id of the Subscription.
    #[arg(long, value_name = "ID")]
    pub(crate) subscription: Option<String>,
    /// Id of the topic, instead: would any subscription without filters get an event?
    #[arg(long, value_name = "ID")]
    pub(crate) topic: Option<String>,
    /// A resource that the server has, as Type/id or Type/id/_history/version.
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["changes", "previous", "current"])]
    pub(crate) focus: Option<String>,
    /// How many of the server's newest changes to go over.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["previous", "current"])]
    pub(crate) changes: Option<u32>,
    /// File with the resource before the change; without it the change is a create.
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Option<PathBuf>,
    /// File with the resource after the change; without it the change is a delete.
    #[arg(long, value_name = "FILE")]
    pub(crate) current: Option<PathBuf>,
    /// File with the bearer token; without it the variable CRESSET_TOKEN is used, if it is set.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print what the server answers, a Parameters resource.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// Report what is wrong with topic files, and what may surprise, as creating them would.
    ///
    /// Ends with 0 if nothing is wrong, with 2 if a topic would be refused or cannot be read, and
    /// with 1 if there are warnings and --deny-warnings is given.
    Check(TopicCheck),
}

/// Flags of `topic check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct TopicCheck {
    /// Files with a SubscriptionTopic of R4B or R5, or R4's Basic that holds one.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Check for these FHIR versions; without it, for those whose form the file has.
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    pub(crate) fhir_version: Vec<Version>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Let warnings decide the exit code too.
    #[arg(long)]
    pub(crate) deny_warnings: bool,
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
        /// Print JSON: what is wrong, with the place, the key and the text of each.
        #[arg(long)]
        json: bool,
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
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Version {
    /// The version it names.
    pub(crate) const fn fhir(self) -> FhirVersion {
        match self {
            Self::R4 => FhirVersion::R4,
            Self::R4b => FhirVersion::R4B,
            Self::R5 => FhirVersion::R5,
        }
    }
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
