//! `kill -9` at any moment, and at named points of the code: nothing that was acknowledged is lost,
//! no event skipped, no number used twice, none out of order.
//!
//! A short form runs every time; `CRESSET_CRASH_ROUNDS=500` makes it a long one.

mod watch;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use cresset_conformance::{
    Answer, Client, Options, Receiver, Server, Subscribe, patient, until, verifies,
};
use reqwest::Method;

use watch::{Acknowledged, FEW, Receivers, Watch};

const TOPIC: &str = "http://cresset.test/topics/patient-any";
/// Kills at random moments of the short form.
const ROUNDS: usize = 16;
/// Clients that write to each base at the same time.
const WRITERS: usize = 3;
/// Resources that one writer changes in one round.
const KEYS: usize = 4;
/// Longest that the server lives before it is killed.
const LIFE_MAX: u64 = 500;
/// What `abort` ends a process with.
const SIGABRT: i32 = 6;
/// Answers that the flapping receiver has ready; most are never asked for.
const FLAPS: usize = 20_000;

/// Points that the process dies at while it works, with the highest pass that is waited for.
const POINTS: &[(&str, u64)] = &[
    ("delivery.answered", 9),
    ("delivery.confirmed", 9),
    ("delivery.failed", 4),
    ("index.after-commit", 1),
    ("index.before-commit", 1),
    ("index.step", 3),
    ("log.after-commit", 40),
    ("log.before-commit", 40),
    ("socket.written", 9),
    ("upkeep.cursors-taken", 2),
    ("upkeep.cursors-written", 2),
    ("writer.appended", 40),
    ("writer.published", 40),
];
/// Those of them that are passed when nothing is written.
const POINTS_OF_QUIET: &[&str] = &["index.after-commit", "index.before-commit"];
/// Points that it dies at when it starts.
const POINTS_OF_THE_START: &[&str] =
    &["load.log", "load.topics", "load.subscriptions", "upkeep.forgotten"];
/// Points of the file's upkeep, which needs much to be written.
const POINTS_OF_THE_CHECKPOINT: &[&str] = &["checkpoint.half", "checkpoint.done"];

/// How one life of the server ends.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// At a named point, at this pass.
    At(&'static str, u64),
    /// At any moment.
    Kill,
}

impl Death {
    /// How often each client writes at most before it.
    fn steps_max(self) -> usize {
        match self {
            // The index writes what it holds when all is quiet.
            Self::At(point, _) if POINTS_OF_QUIET.contains(&point) => 30,
            Self::At(..) | Self::Kill => usize::MAX,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_nothing_and_skips_no_number() {
    verifies!("RQ-NB-40", "RQ-NB-41", "RQ-NB-43", "RQ-CH-03", "RQ-SB-26", "RQ-OP-42");
    let mut chance = Chance::new();
    let deaths = (0..rounds(ROUNDS)).map(|_| Death::Kill).collect();
    run(deaths, &mut chance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_named_point_loses_nothing_and_skips_no_number() {
    verifies!("RQ-NB-40", "RQ-NB-41", "RQ-NB-43", "RQ-CH-03", "RQ-SB-26", "RQ-OP-42");
    let mut chance = Chance::new();
    let mut deaths = Vec::new();
    let short = POINTS.len() + POINTS_OF_THE_START.len();
    while deaths.len() < rounds(short) {
        deaths.extend(POINTS.iter().map(|(point, pass)| Death::At(point, 1 + chance.below(*pass))));
        deaths.extend(POINTS_OF_THE_START.iter().map(|point| Death::At(point, 1)));
    }
    run(deaths, &mut chance).await;
}

fn rounds(short: usize) -> usize {
    let rounds = std::env::var("CRESSET_CRASH_ROUNDS").ok();
    rounds.map_or(short, |rounds| rounds.parse().expect("a number of rounds"))
}

fn options() -> Options {
    Options::default().set("rest-hook.retry-schedule", vec!["100ms"; 60])
}

/// Goes through these deaths one after the other, with clients that write and receivers that count.
async fn run(deaths: Vec<Death>, chance: &mut Chance) {
    let receivers =
        Receivers { steady: Receiver::start().await, flapping: Receiver::start().await };
    let mut server = Server::start_with(options()).await;
    let mut watches = Vec::new();
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let flaps = (0..FLAPS).map(|_| match chance.below(4) {
            0 => Answer::Status(503),
            _ => Answer::Status(200),
        });
        // The handshake is taken: it has fewer tries than events have.
        let flaps = std::iter::once(Answer::Status(200)).chain(flaps);
        receivers.flapping.script(&path, flaps.collect::<Vec<_>>());
        watches.push(Watch::start(&base, &receivers).await);
    }
    for (round, death) in deaths.into_iter().enumerate() {
        if let Death::At(point, pass) = death {
            server.kill();
            server.options().crash_at(Some(format!("{point}:{pass}")));
            // Also a point of its work may be passed when it starts.
            if server.try_start_again().await.is_ok() {
                run_round(&mut server, &mut watches, (round, death), chance).await;
            }
            server.options().crash_at(None);
            assert_eq!(server.ended().await.signal(), Some(SIGABRT), "{point}:{pass}");
        } else {
            run_round(&mut server, &mut watches, (round, death), chance).await;
        }
        if chance.below(4) == 0 {
            // Again while it starts.
            server.launch_again();
            tokio::time::sleep(Duration::from_millis(chance.below(150))).await;
            server.kill();
        }
        start_elsewhere(&mut server).await;
        for (watch, base) in watches.iter_mut().zip(server.bases()) {
            watch.check_log(&base).await;
        }
    }
    for (watch, base) in watches.iter().zip(server.bases()) {
        watch.check_delivery(&base, &receivers).await;
    }
}

/// Starts the server on another port than before: receivers tell its lives apart by it.
async fn start_elsewhere(server: &mut Server) {
    let before = server.url().to_owned();
    server.start_again().await;
    while server.url() == before {
        server.restart().await;
    }
}

/// Clients write, sockets listen, and the server dies among it.
async fn run_round(
    server: &mut Server,
    watches: &mut [Watch],
    (round, death): (usize, Death),
    chance: &mut Chance,
) {
    let bases = server.bases();
    let mut listeners = Vec::new();
    let mut writers = Vec::new();
    for (watch, base) in watches.iter_mut().zip(&bases) {
        listeners.push(watch.listen(base));
        for writer in 0..WRITERS {
            let name = format!("r{round}-w{writer}");
            writers
                .push((base.version, tokio::spawn(write(base.clone(), name, death.steps_max()))));
        }
        let subscribe = Subscribe::websocket(TOPIC).json(base.version);
        let made = base.request(Method::POST, "Subscription").json(&subscribe).try_send().await;
        match (made, death) {
            (Ok(made), _) => {
                let made = made.expect(201).json();
                watch.others.push(made["id"].as_str().expect("an id").to_owned());
            }
            // It may be gone already.
            (Err(_), Death::At(..)) => {}
            (Err(error), Death::Kill) => panic!("the server still lives: {error}"),
        }
    }
    match death {
        Death::At(..) => {
            server.ended().await;
        }
        Death::Kill => {
            tokio::time::sleep(Duration::from_millis(chance.below(LIFE_MAX))).await;
            server.kill();
        }
    }
    for (version, writer) in writers {
        let acknowledged = writer.await.expect("the writer does not fail");
        let watch = watches.iter_mut().find(|watch| watch.version == version);
        watch.expect("one for each base").versions.extend(acknowledged);
    }
    for listener in listeners {
        listener.await.expect("the listener does not fail");
    }
}

/// Writes until the server is gone, at most so many times.
async fn write(base: Client, name: String, steps_max: usize) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for step in 0..steps_max {
        let id = format!("{name}-k{}", step % KEYS);
        let path = format!("Patient/{id}");
        // Known from the start, so that a version written but never acknowledged is seen too.
        acknowledged.entry(path.clone()).or_insert(0);
        let request = match step % 11 {
            10 => base.request(Method::DELETE, &path),
            _ => base.request(Method::PUT, &path).json(&patient(&id)),
        };
        let Ok(reply) = request.try_send().await else { break };
        if !matches!(reply.status, 200 | 201 | 204) {
            assert_eq!(reply.status, 503, "{reply}");
            break;
        }
        let etag = reply.headers.get("etag").and_then(|etag| etag.to_str().ok());
        let version = etag.and_then(|etag| etag.trim_matches(['W', '/', '"']).parse().ok());
        // Deleting what is deleted makes no version.
        if let Some(version) = version {
            acknowledged.insert(path, version);
        }
    }
    acknowledged
}

/// Writes so much to one resource that the file is moved on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_a_checkpoint_loses_nothing() {
    verifies!(R4: "RQ-NB-40", "RQ-NB-43", "RQ-CH-03");
    let mut server = Server::start().await;
    let base = server.bases()[0].clone();
    let web = base.subscribe(&Subscribe::websocket(TOPIC)).await;
    let mut large = patient("large");
    large["text"] = serde_json::json!({
        "status": "generated",
        "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", "x".repeat(1 << 20)),
    });
    let mut written = 0;
    for point in POINTS_OF_THE_CHECKPOINT {
        server.kill();
        server.options().crash_at(Some((*point).to_owned()));
        server.start_again().await;
        let base = server.base(base.version);
        loop {
            let put = base.request(Method::PUT, "Patient/large").json(&large).try_send().await;
            let Ok(reply) = put else { break };
            assert!(matches!(reply.status, 200 | 201), "{reply}");
            let etag = reply.header("etag");
            written = etag.trim_matches(['W', '/', '"']).parse().expect("a version");
        }
        assert_eq!(server.ended().await.signal(), Some(SIGABRT), "{point}");
        server.options().crash_at(None);
        server.start_again().await;
        let base = server.base(base.version);
        let count = base.count(&web).await;
        assert!(count == written || count == written + 1, "{count} events, {written} versions");
        base.get(&format!("Patient/large/_history/{count}")).await.expect(200);
        base.get(&format!("Patient/large/_history/{}", count + 1)).await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_events_are_forgotten_forgets_no_other() {
    verifies!(R4: "RQ-NB-40", "RQ-NB-43");
    let options = Options::default()
        .set("retention.events-per-subscription-max", i64::try_from(FEW).expect("few"));
    let mut server = Server::start_with(options).await;
    let version = server.bases()[0].version;
    let web = server.base(version).subscribe(&Subscribe::websocket(TOPIC)).await;
    let mut count = 0;
    // The first commit of a start, after its topics are found as they were, is that of forgetting.
    for point in ["log.before-commit", "log.after-commit", "upkeep.forgotten"] {
        let base = server.base(version);
        for _ in 0..FEW + 5 {
            base.save(&patient("p")).await;
            count += 1;
        }
        server.kill();
        server.options().crash_at(Some(point.to_owned()));
        let _serves_or_is_dead = server.try_start_again().await;
        assert_eq!(server.ended().await.signal(), Some(SIGABRT), "{point}");
        server.options().crash_at(None);
        server.start_again().await;
        let base = server.base(version);
        assert_eq!(base.count(&web).await, count);
        let oldest = count - FEW + 1;
        let page = until("the others are forgotten", || async {
            let page = base.events(&web, "eventsSinceNumber=1").await;
            (page.numbers().first() == Some(&oldest)).then_some(page)
        })
        .await;
        assert_eq!(page.numbers(), (oldest..=count).collect::<Vec<_>>());
    }
}

#[test]
fn every_point_that_the_code_names_is_crashed_at() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = BTreeSet::new();
    for entry in std::fs::read_dir(crates).expect("the crates").flatten() {
        note_points(&entry.path().join("src"), &mut named);
    }
    let all = POINTS.iter().map(|(point, _)| *point);
    let all = all.chain(POINTS_OF_THE_START.iter().copied());
    let all: BTreeSet<_> =
        all.chain(POINTS_OF_THE_CHECKPOINT.iter().copied()).map(str::to_owned).collect();
    assert_eq!(named, all);
}

/// The points that the sources in a folder name.
fn note_points(folder: &Path, named: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            note_points(&path, named);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let calls = text.split("crash_point(\"").skip(1);
            named.extend(calls.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
}

/// Randomness that is shown, so that a failure can be tried again.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = std::env::var("CRESSET_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| getrandom::u64().expect("randomness")) | 1;
        eprintln!("CRESSET_CRASH_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
