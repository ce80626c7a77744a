//! Arguments of the commands that talk to servers, this one or any other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use clap_complete::Shell;
use cresset_client::{Filter, InvalidFilter, PayloadContent, SubscriptionStatus};

/// Which server, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Server {
    /// Base URL of a FHIR server, such as http://localhost:8080/r4.
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    /// File with the bearer token; without it the variable CRESSET_TOKEN is used, if it is set.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Flags of `tail`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) server: Server,
    /// Canonical URL of the topic to subscribe to.
    #[arg(long, value_name = "URL", required_unless_present = "subscription")]
    pub(crate) topic: Option<String>,
    /// A filter, such as Encounter?patient=Patient/1, or several joined by &, percent-encoded; all that are given must hold.
    #[arg(long = "filter", value_name = "FILTER", conflicts_with = "subscription")]
    pub(crate) filters: Vec<Filters>,
    /// How much is sent: empty, id-only or full-resource.
    #[arg(long, value_name = "CONTENT", value_parser = content, default_value = "id-only")]
    pub(crate) content: PayloadContent,
    /// Seconds of silence after which the server is to send a heartbeat.
    #[arg(long, value_name = "SECONDS", conflicts_with = "subscription")]
    pub(crate) heartbeat_period: Option<u32>,
    /// Listen to this subscription instead of a new one; it is not deleted at the end.
    #[arg(long, value_name = "ID", conflicts_with = "topic")]
    pub(crate) subscription: Option<String>,
    /// Begin behind the event with this number; without it, with what comes from now on.
    #[arg(long, value_name = "NUMBER", conflicts_with = "topic")]
    pub(crate) after: Option<u64>,
    /// End after this many events.
    #[arg(long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
    /// Tries to connect, one after the other, before giving up; without it, for ever.
    #[arg(long, value_name = "COUNT")]
    pub(crate) tries: Option<u32>,
    /// Leave the subscription on the server at the end.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print an object of JSON for each event.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The filters of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filters(pub(crate) Vec<Filter>);

impl FromStr for Filters {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        Filter::list(text).map(Self)
    }
}

/// Flags of `receive`.
#[derive(Debug, Clone, PartialEq, Args)]
pub(crate) struct Receive {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    /// File with keys, one a line, whsec_… or whpk_…: only what one of them signed is taken.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Answer this part of the notifications with an error, such as 10%.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "0%")]
    pub(crate) fail: f64,
    /// The HTTP status of such an error.
    #[arg(long, value_name = "STATUS", default_value_t = 503,
          value_parser = clap::value_parser!(u16).range(400..600))]
    pub(crate) fail_status: u16,
    /// Answer only after this long, such as 5s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) slow: Option<Duration>,
    /// End after this many notifications that were answered without an error.
    #[arg(long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
    /// Print an object of JSON for each notification.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Check {
    /// Base URL of a FHIR server.
    #[arg(value_name = "URL")]
    pub(crate) server: String,
    /// File with the bearer token; without it the variable CRESSET_TOKEN is used, if it is set.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Create subscriptions as well, and delete them again.
    #[arg(long)]
    pub(crate) write: bool,
    /// Canonical URL of the topic to subscribe to; without it, the first that the server names.
    #[arg(long, value_name = "URL", requires = "write")]
    pub(crate) topic: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with subscriptions of a server.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Subscription {
    /// List the subscriptions to topics.
    List {
        #[command(flatten)]
        server: Server,
        /// Only those with this status.
        #[arg(long, value_name = "STATUS", value_parser = status)]
        status: Option<SubscriptionStatus>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a subscription, with what $status says.
    Show {
        #[command(flatten)]
        server: Server,
        /// Its id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have events sent again over its channel, with $resend.
    Resend {
        #[command(flatten)]
        server: Server,
        /// Its id.
        id: String,
        /// Number of the first event.
        #[arg(long, value_name = "NUMBER")]
        since: Option<u64>,
        /// Number of the last event.
        #[arg(long, value_name = "NUMBER")]
        until: Option<u64>,
        /// Print the server's answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Turn a subscription off.
    Off {
        #[command(flatten)]
        server: Server,
        /// Its id.
        id: String,
        /// Print what the server made of it as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Flags of `export`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) server: Server,
    /// File to write, which only its owner may read if it is new; without it, standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Flags of `import`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) server: Server,
    /// File that `export` wrote, from a server of any version.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Create subscriptions that were off, too; like all others they begin anew.
    #[arg(long)]
    pub(crate) off: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to write about the command line itself.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Generate {
    /// Completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// The manual page.
    Man,
    /// The reference as Markdown.
    Reference,
}

fn content(code: &str) -> Result<PayloadContent, &'static str> {
    PayloadContent::parse(code).ok_or("empty, id-only or full-resource")
}

fn status(code: &str) -> Result<SubscriptionStatus, &'static str> {
    SubscriptionStatus::parse(code).ok_or("active, entered-in-error, error, off or requested")
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    crate::config::parse_duration(text).ok_or("a number with a unit, such as 5s or 200ms")
}

/// `10%` as 0.1.
fn percent(text: &str) -> Result<f64, &'static str> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let part = number.map(|number| number / 100.0).filter(|part| (0.0..=1.0).contains(part));
    part.ok_or("between 0% and 100%")
}
