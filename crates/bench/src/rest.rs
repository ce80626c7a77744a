//! `cresset-bench rest`: what creates, reads and searches cost while the store grows.
//!
//! One server is filled to each size in turn; at each, the same requests are made about resources picked at
//! random, whose number of matches does not depend on the size. If the cost of a search follows what it finds,
//! it stays; if it follows the store, it grows tenfold.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::Connection;
use crate::machine::{Busy, Machine};
use crate::observation::create_request;
use crate::report::{FORMAT, Goal};
use crate::statistics::{Spread, per, rate, round};
use crate::target::{Kind, Target};

/// Observations of one patient.
const PER_PATIENT: usize = 20;
/// Observations of one code.
const PER_CODE: usize = 50;
/// Observations in the range of dates that is searched.
const PER_RANGE: usize = 50;
/// Resources written with one request.
const BATCH: usize = 1_000;
/// How much a search may cost more at the largest size than at the smallest.
const GROWTH_LIMIT: f64 = 1.5;
/// When the first observation was made; each is a minute after the one before.
const FIRST: &str = "2000-01-01T00:00:00Z";
/// Observations on the page of the newest ones.
const NEWEST: usize = 20;
/// Connections that fill the server.
const FILLERS: usize = 4;
/// How long filling the server to a size may take.
const FILL_MAX: Duration = Duration::from_secs(1_800);
/// How long the search index may take to have seen what was written.
const INDEX_MAX: Duration = Duration::from_secs(600);

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's binary.
    pub server: PathBuf,
    /// Where it keeps its data.
    pub work: PathBuf,
    /// Numbers of resources, rising.
    pub sizes: Vec<usize>,
    /// Connections that make requests.
    pub clients: usize,
    /// Stretches of each request at each size.
    pub pairs: usize,
    /// Length of a stretch.
    pub length: Duration,
    /// Whether this is a rehearsal.
    pub tiny: bool,
}

/// Everything one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// `rest`.
    pub benchmark: &'static str,
    /// Where.
    pub machine: Machine,
    /// Whether the figures are too small to mean anything.
    pub tiny: bool,
    /// At each size.
    pub levels: Vec<Level>,
    /// The aims against what was measured.
    pub goals: Vec<Goal>,
}

/// A server with so many resources.
#[derive(Debug, Serialize)]
pub struct Level {
    /// How many.
    pub resources: usize,
    /// Resources written a second to get here, in transactions, indexed as they came.
    pub filled_per_second: f64,
    /// What was asked.
    pub requests: Vec<Figures>,
}

/// One kind of request.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Which.
    pub request: Ask,
    /// A second, closed loop.
    pub per_second: Option<Spread>,
    /// Server CPU of 1,000, in milliseconds.
    pub server_cpu_ms_per_1000: Option<Spread>,
    /// Resources in an answer.
    pub resources_found: f64,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// A create.
    Create,
    /// A read.
    Read,
    /// The observations of a patient.
    ByPatient,
    /// Those of a code.
    ByToken,
    /// Those in a range of dates.
    ByDateRange,
    /// Those of a patient, and the patient.
    WithInclude,
    /// The newest of all.
    Newest,
}

impl Ask {
    const ALL: [Self; 7] = [
        Self::Create,
        Self::Read,
        Self::ByPatient,
        Self::ByToken,
        Self::ByDateRange,
        Self::WithInclude,
        Self::Newest,
    ];

    /// Whether it must find the same at every size.
    const fn is_search(self) -> bool {
        match self {
            Self::Create | Self::Read => false,
            Self::ByPatient
            | Self::ByToken
            | Self::ByDateRange
            | Self::WithInclude
            | Self::Newest => true,
        }
    }

    /// How many resources the answer must hold.
    const fn expected(self) -> Option<usize> {
        match self {
            Self::Create | Self::Read => None,
            Self::ByPatient => Some(PER_PATIENT),
            Self::ByToken => Some(PER_CODE),
            Self::ByDateRange => Some(PER_RANGE),
            Self::WithInclude => Some(PER_PATIENT + 1),
            Self::Newest => Some(NEWEST),
        }
    }

    /// The request about a place among so many resources.
    fn request(self, host: &str, number: usize) -> Vec<u8> {
        let path = match self {
            Self::Create => return create_request(host, &format!("Patient/new{number}")),
            Self::Read => format!("Observation/o{number}"),
            Self::ByPatient => format!("Observation?patient=p{}", number / PER_PATIENT),
            Self::ByToken => format!("Observation?code=http://loinc.org%7Cc{}", number / PER_CODE),
            Self::ByDateRange => {
                // Whole ranges only, so that each holds as many.
                let from = number / PER_RANGE * PER_RANGE;
                format!("Observation?date=ge{}&date=lt{}", at(from), at(from + PER_RANGE))
            }
            Self::WithInclude => format!(
                "Observation?patient=p{}&_include=Observation:patient",
                number / PER_PATIENT
            ),
            Self::Newest => format!("Observation?_sort=-_lastUpdated&_count={NEWEST}"),
        };
        format!("GET /r4/{path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/fhir+json\r\n\r\n")
            .into_bytes()
    }
}

/// When an observation was made.
fn at(number: usize) -> Timestamp {
    let first: Timestamp = FIRST.parse().expect("a literal of the right form");
    first + SignedDuration::from_mins(i64::try_from(number).unwrap_or(i64::MAX))
}

fn observation(number: usize) -> Value {
    json!({
        "resourceType": "Observation",
        "id": format!("o{number}"),
        "status": "final",
        "code": {"coding": [{
            "system": "http://loinc.org",
            "code": format!("c{}", number / PER_CODE),
            "display": "Body weight",
        }]},
        "subject": {"reference": format!("Patient/p{}", number / PER_PATIENT)},
        "effectiveDateTime": at(number).to_string(),
        "valueQuantity": {
            "value": 60.5,
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    })
}

/// Runs it.
///
/// # Errors
/// When the server fails, or an answer does not hold what it must: there are no figures then.
pub async fn run(settings: &Settings) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&settings.work).context("making the work directory")?;
    let mut machine = Machine::look(&settings.work);
    let busy = Busy::now();
    let directory = tempfile::Builder::new().prefix("run-").tempdir_in(&settings.work)?;
    let kind = Kind::Cresset(settings.server.clone());
    let target = Target::start(&kind, directory.path()).await?;
    let mut levels: Vec<Level> = Vec::new();
    for &resources in &settings.sizes {
        let from = levels.last().map_or(0, |level| level.resources);
        let started = Instant::now();
        fill(&target, from, resources).await?;
        let filled_per_second = rate((resources - from) as u64, started.elapsed());
        let mut requests = Vec::new();
        for ask in Ask::ALL {
            requests.push(measure(settings, &target, ask, resources).await?);
        }
        let level = Level { resources, filled_per_second, requests };
        eprintln!("{}", serde_json::to_string(&level)?);
        levels.push(level);
    }
    let ours = crate::process::ticks_of_this_run();
    machine.others_cpu_share = Some(Busy::now().others_since(&busy, ours));
    let goals = goals(&levels);
    Ok(Report { format: FORMAT, benchmark: "rest", machine, tiny: settings.tiny, levels, goals })
}

/// Writes observations `from` to `to`, and their patients, then waits until a search has seen them.
async fn fill(target: &Target, from: usize, to: usize) -> anyhow::Result<()> {
    let batches: Vec<usize> = (from..to).step_by(BATCH).collect();
    let batches = &RefCell::new(batches.into_iter());
    let fillers = (0..FILLERS).map(|_| async move {
        let mut connection = Connection::open(target.address).await?;
        loop {
            let Some(first) = batches.borrow_mut().next() else { return anyhow::Ok(()) };
            let request = transaction(&target.host(), first..to.min(first + BATCH));
            let answer = connection.exchange(&request).await?;
            ensure!(answer.status == 200, "filling: {}", answer.describe());
        }
    });
    tokio::time::timeout(FILL_MAX, try_join_all(fillers))
        .await
        .context("filling for too long")??;
    let deadline = Instant::now() + INDEX_MAX;
    loop {
        let mut connection = Connection::open(target.address).await?;
        // It waits for the index, though not for ever.
        match connection.get(&target.host(), "/r4/Observation?patient=p0").await {
            Ok(_) => return Ok(()),
            Err(error) => ensure!(Instant::now() < deadline, "{error:#}"),
        }
    }
}

/// A transaction with these observations, and patients whose first ones are among them.
fn transaction(host: &str, numbers: Range<usize>) -> Vec<u8> {
    let mut entries = Vec::with_capacity(numbers.len() + numbers.len() / PER_PATIENT);
    for number in numbers {
        if number % PER_PATIENT == 0 {
            let id = format!("p{}", number / PER_PATIENT);
            entries.push(entry(&json!({"resourceType": "Patient", "id": id, "active": true})));
        }
        entries.push(entry(&observation(number)));
    }
    let body = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    let body = body.to_string();
    let head = format!(
        "POST /r4 HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/fhir+json\r\nAccept: \
         application/fhir+json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

fn entry(resource: &Value) -> Value {
    let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
    let url = format!("{}/{}", text("resourceType"), text("id"));
    json!({"resource": resource, "request": {"method": "PUT", "url": url}})
}

/// What one stretch came to.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    requests: u64,
    resources: u64,
    elapsed: Duration,
    server_cpu: Duration,
}

async fn measure(
    settings: &Settings,
    target: &Target,
    ask: Ask,
    resources: usize,
) -> anyhow::Result<Figures> {
    let mut connections = Vec::new();
    for _ in 0..settings.clients {
        connections.push(Connection::open(target.address).await?);
    }
    let mut stretches = Vec::new();
    for stretch in 0..=settings.pairs {
        let measured = stretch_of(settings, target, (ask, resources), &mut connections).await?;
        // The first one warms up.
        stretches.extend((stretch > 0).then_some(measured));
    }
    let spread = |figure: fn(&Stretch) -> f64| Spread::of(stretches.iter().map(figure));
    let (found, asked) = stretches
        .iter()
        .fold((0, 0), |(found, asked), one| (found + one.resources, asked + one.requests));
    #[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
    let found = found as f64;
    Ok(Figures {
        request: ask,
        per_second: spread(|one| rate(one.requests, one.elapsed)),
        server_cpu_ms_per_1000: spread(|one| per(one.server_cpu.as_secs_f64() * 1e6, one.requests)),
        resources_found: per(found, asked),
    })
}

/// All connections ask, one request after the other, about numbers picked at random.
async fn stretch_of(
    settings: &Settings,
    target: &Target,
    (ask, resources): (Ask, usize),
    connections: &mut [Connection],
) -> anyhow::Result<Stretch> {
    let host = target.host();
    let (requests, found) = (Cell::new(0), Cell::new(0));
    let (started, cpu) = (Instant::now(), target.process.cpu());
    let loops = connections.iter_mut().zip(1_u64..).map(|(connection, seed)| {
        let (host, requests, found) = (&host, &requests, &found);
        async move {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            while started.elapsed() < settings.length {
                let request = ask.request(host, random.below(resources));
                let answer = connection.exchange(&request).await?;
                ensure!(matches!(answer.status, 200 | 201), "{ask:?}: {}", answer.describe());
                let count = count_entries(&answer.body);
                if let Some(expected) = ask.expected() {
                    ensure!(count == expected, "{ask:?}: {count} resources, not {expected}");
                }
                requests.set(requests.get() + 1);
                found.set(found.get() + count as u64);
            }
            anyhow::Ok(())
        }
    });
    try_join_all(loops).await?;
    Ok(Stretch {
        requests: requests.get(),
        resources: found.get(),
        elapsed: started.elapsed(),
        server_cpu: target.process.cpu().since(&cpu),
    })
}

/// How many entries a searchset has; parsing it would be the generator's cost.
fn count_entries(body: &[u8]) -> usize {
    const ENTRY: &[u8] = br#""fullUrl":"#;
    body.windows(ENTRY.len()).filter(|window| *window == ENTRY).count()
}

/// A small generator, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound
    }
}

/// What each search costs at the largest size, over the smallest.
fn goals(levels: &[Level]) -> Vec<Goal> {
    let (Some(first), Some(last)) = (levels.first(), levels.last()) else { return Vec::new() };
    let cpu = |figures: &Figures| figures.server_cpu_ms_per_1000.map(|spread| spread.median);
    let pairs = first.requests.iter().zip(&last.requests);
    let searches = pairs.filter(|(small, _)| small.request.is_search());
    searches
        .filter_map(|(small, large)| {
            let growth = round(cpu(large)? / cpu(small)?);
            let what = "server CPU of a search with the most resources, over the fewest";
            Some(Goal::new(format!("{:?}", small.request), what, GROWTH_LIMIT, growth))
        })
        .collect()
}
