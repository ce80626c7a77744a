//! The large store: made once, kept in the work directory, and used again.
//!
//! A program beside this one (`crates/store-embedded/examples/fill.rs`) appends what a server would have appended,
//! tens of times faster than clients could have it done. The server then brings its search index up to date, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::{Large, Settings};
use crate::http::Connection;
use crate::statistics::round;
use crate::target::{Launch, Target};

/// Raised when what is in a large store is to be another: older ones are then made anew.
const EDITION: u32 = 3;
/// What was made, and how much of it was used up.
const MARK: &str = "made.json";
/// How long a server may take to start on it, whatever the aim is.
const READY_MAX: Duration = Duration::from_secs(300);
/// How long the search index may take to be brought up to date.
const INDEX_MAX: Duration = Duration::from_secs(600);

/// A large store that is ready for use.
pub(super) struct Store {
    pub(super) directory: PathBuf,
    pub(super) bytes: u64,
    pub(super) fill_seconds: Option<f64>,
    pub(super) index_seconds: Option<f64>,
    mark: Mark,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    edition: u32,
    store: Large,
    /// Subscriptions that were away and have caught up.
    away_used: u64,
}

/// How servers on a store that outlives them are started: with a base URL that stays, which the search index depends
/// on, without a bound on events kept of a subscription, and with no more of an index than the ids, since nobody
/// searches and it would take minutes to build.
pub(super) fn launch() -> Launch {
    let variable = |name, value: &str| (name, value.to_owned());
    Launch {
        environment: vec![
            variable("CRESSET__SERVER__BASE_URL", "http://cresset.example"),
            variable("CRESSET__RETENTION__EVENTS_PER_SUBSCRIPTION_MAX", "1000000000"),
            variable("CRESSET__SEARCH__INDEX", "none"),
        ],
        ready_max: READY_MAX,
    }
}

/// Id of a subscription of the store: see the program that fills it.
pub(super) fn subscription_id(number: u64) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

/// The patient that a subscription of the store is for.
pub(super) fn subscription_patient(number: u64) -> String {
    format!("Patient/s{number}")
}

impl Store {
    /// The store that was made before, or a new one.
    pub(super) async fn ready(settings: &Settings) -> anyhow::Result<Self> {
        let name = if settings.tiny { "large-tiny" } else { "large" };
        let directory = settings.work.join(name);
        let wanted = Mark { edition: EDITION, store: settings.large, away_used: 0 };
        let found = Mark::read(&directory).filter(|found| {
            (Mark { away_used: 0, ..found.clone() }) == wanted
                && found.away_used < settings.large.away
                && !settings.fresh
        });
        let (mut fill_seconds, mut index_seconds) = (None, None);
        let mark = match found {
            Some(found) => found,
            None => {
                let (fill, index) = make(settings, &directory).await?;
                (fill_seconds, index_seconds) = (Some(fill), Some(index));
                wanted.write(&directory)?;
                wanted
            }
        };
        let bytes = bytes_in(&directory.join("data"))?;
        Ok(Self { directory, bytes, fill_seconds, index_seconds, mark })
    }

    /// How many subscriptions are away, or were.
    pub(super) const fn away(&self) -> u64 {
        self.mark.store.away
    }

    /// Takes one of the subscriptions that are away; there is one, or the store would have been made anew.
    pub(super) fn take_away(&mut self) -> anyhow::Result<u64> {
        let number = self.mark.away_used;
        self.mark.away_used += 1;
        self.mark.write(&self.directory)?;
        Ok(number)
    }
}

impl Mark {
    fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(MARK)).ok()?).ok()
    }

    fn write(&self, directory: &Path) -> anyhow::Result<()> {
        fs::write(directory.join(MARK), serde_json::to_vec(self)?).context("marking the store")
    }
}

/// Makes the store; gives the seconds that filling it and indexing it took.
async fn make(settings: &Settings, directory: &Path) -> anyhow::Result<(f64, f64)> {
    eprintln!("making the large store in {}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(directory).context("removing an older store")?;
    }
    // A server brings the topic into force before there are subscriptions to it.
    drop(Target::launch(&settings.ours(), directory, &launch()).await?);
    let Large { subscriptions, changes, events_per_change, away } = settings.large;
    let started = Instant::now();
    let mut fill = Command::new(&settings.fill);
    fill.arg(directory.join("data"));
    fill.args([subscriptions, changes, events_per_change, away].map(|number| number.to_string()));
    let status = fill.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("starting {}", settings.fill.display()))?;
    ensure!(status.success(), "filling the store ended with {status}");
    let filled = started.elapsed();
    let started = Instant::now();
    let target = Target::launch(&settings.ours(), directory, &launch()).await?;
    index(&target).await?;
    Ok((round(filled.as_secs_f64()), round(started.elapsed().as_secs_f64())))
}

/// Waits until a search is answered: it waits for the index, though not for ever.
async fn index(target: &Target) -> anyhow::Result<()> {
    let deadline = Instant::now() + INDEX_MAX;
    loop {
        let mut connection = Connection::open(target.address).await?;
        let host = target.host();
        match connection.get(&host, "/r4/Observation?_id=none").await {
            Ok(_) => return Ok(()),
            Err(error) => {
                ensure!(Instant::now() < deadline, "{error:#}\n{}", target.log_tail());
            }
        }
    }
}

fn bytes_in(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(directory)? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}
