//! `kill -9` at any moment: nothing that was acknowledged is lost, no event skipped, no number used
//! twice.
//!
//! A short form runs every time; `CRESSET_CRASH_ROUNDS=500` makes it a long one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cresset_conformance::{
    Client, Options, Receiver, Server, Socket, Subscribe, Token, Version, patient, until, verifies,
};
use futures_util::future::join_all;
use reqwest::Method;
use tokio::task::JoinHandle;

const TOPIC: &str = "http://cresset.test/topics/patient-any";
/// Kills of the short form.
const ROUNDS: usize = 24;
/// Clients that write to each base at the same time.
const WRITERS: usize = 3;
/// Resources that one writer changes in one round.
const KEYS: usize = 4;
/// Longest that the server lives before it is killed.
const LIFE_MAX: u64 = 500;

/// The highest version of each resource that the server acknowledged.
type Acknowledged = BTreeMap<String, u64>;

/// What one base's subscribers know.
struct Watch {
    version: Version,
    web: String,
    hook: String,
    path: String,
    token: Token,
    /// Last event number that came over a socket.
    heard: Arc<Mutex<u64>>,
    /// Foci of the events, by number; those read so far.
    events: Vec<String>,
    /// Versions of each resource that exist.
    versions: Acknowledged,
    /// Subscriptions made in between.
    others: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_nothing_and_skips_no_number() {
    verifies!("RQ-NB-40", "RQ-NB-41", "RQ-NB-43", "RQ-CH-03", "RQ-SB-26", "RQ-OP-42");
    let rounds = std::env::var("CRESSET_CRASH_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let mut chance = Chance::new();
    let options = Options::default().set("rest-hook.retry-schedule", vec!["100ms"; 60]);
    let mut server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let mut watches = Vec::new();
    for base in server.bases() {
        watches.push(Watch::start(&base, &receiver).await);
    }
    for round in 0..rounds {
        run_round(&mut server, &mut watches, round, &mut chance).await;
        if chance.below(4) == 0 {
            // Again while it starts.
            server.launch_again();
            tokio::time::sleep(Duration::from_millis(chance.below(150))).await;
            server.kill();
        }
        server.start_again().await;
        for (watch, base) in watches.iter_mut().zip(server.bases()) {
            watch.check_log(&base).await;
        }
    }
    for (watch, base) in watches.iter().zip(server.bases()) {
        watch.check_delivery(&base, &receiver).await;
    }
}

/// Clients write, sockets listen, and the server is killed among it.
async fn run_round(server: &mut Server, watches: &mut [Watch], round: usize, chance: &mut Chance) {
    let bases = server.bases();
    let mut listeners = Vec::new();
    let mut writers = Vec::new();
    for (watch, base) in watches.iter_mut().zip(&bases) {
        listeners.push(watch.listen(base));
        for writer in 0..WRITERS {
            let name = format!("r{round}-w{writer}");
            writers.push((base.version, tokio::spawn(write(base.clone(), name))));
        }
        let subscribe = Subscribe::websocket(TOPIC).json(base.version);
        let made = base.request(Method::POST, "Subscription").json(&subscribe).try_send().await;
        let made = made.expect("the server still lives").expect(201).json();
        watch.others.push(made["id"].as_str().expect("an id").to_owned());
    }
    tokio::time::sleep(Duration::from_millis(chance.below(LIFE_MAX))).await;
    server.kill();
    for (version, writer) in writers {
        let acknowledged = writer.await.expect("the writer does not fail");
        let watch = watches.iter_mut().find(|watch| watch.version == version);
        watch.expect("one for each base").versions.extend(acknowledged);
    }
    for listener in listeners {
        listener.await.expect("the listener does not fail");
    }
}

/// Writes until the server is gone.
async fn write(base: Client, name: String) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for step in 0.. {
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

impl Watch {
    async fn start(base: &Client, receiver: &Receiver) -> Self {
        let path = format!("/{}", base.version);
        let hook = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
        base.wait_for_status(&hook, "active").await;
        let web = base.subscribe(&Subscribe::websocket(TOPIC).max_count(7)).await;
        let token = base.token(&[&web]).await;
        Self {
            version: base.version,
            web,
            hook,
            path,
            token,
            heard: Arc::default(),
            events: Vec::new(),
            versions: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    /// Binds with the token of the beginning and notes what comes, until the server is gone.
    fn listen(&self, base: &Client) -> JoinHandle<()> {
        let (base, token, heard) = (base.clone(), self.token.clone(), self.heard.clone());
        tokio::spawn(async move {
            let url = format!("{}/ws", base.url.replace("http://", "ws://"));
            let Ok(mut socket) = Socket::try_open(base.version, &url).await else { return };
            socket.bind(&token).await;
            let mut next = None;
            while let Ok(told) = socket.next_or_closed().await {
                let mut heard = heard.lock().expect("no panic while it is held");
                for number in told.numbers() {
                    assert!(number <= *heard + 1, "{number} after {heard}: skipped");
                    assert!(next.is_none_or(|next| number == next), "out of order: {number}");
                    next = Some(number + 1);
                    *heard = number.max(*heard);
                }
            }
        })
    }

    /// Compares versions, numbers and events after a restart.
    async fn check_log(&mut self, base: &Client) {
        let fresh: Vec<(String, u64)> =
            self.versions.iter().map(|(path, version)| (path.clone(), *version)).collect();
        let checked = fresh.iter().map(|(path, version)| check_versions(base, path, *version));
        let existing: Acknowledged =
            fresh.iter().map(|(path, _)| path.clone()).zip(join_all(checked).await).collect();
        self.versions.clear();
        let count = base.count(&self.hook).await;
        assert_eq!(count, base.count(&self.web).await, "both see the same changes");
        let before = self.events.len();
        while (self.events.len() as u64) < count {
            let query = format!("eventsSinceNumber={}", self.events.len() + 1);
            let page = base.events(&self.web, &query).await;
            assert_eq!(page.numbers().first(), Some(&(self.events.len() as u64 + 1)));
            self.events.extend(page.foci());
        }
        let mut told = Acknowledged::new();
        for focus in &self.events[before..] {
            *told.entry(focus.clone()).or_default() += 1;
        }
        let existing: Acknowledged = existing.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(told, existing, "an event for each version, and no other");
        for other in &self.others {
            base.status(other).await;
        }
    }

    /// Everything has arrived, at least once, in order.
    async fn check_delivery(&self, base: &Client, receiver: &Receiver) {
        let count = self.events.len() as u64;
        let listener = self.listen(base);
        let heard = self.heard.clone();
        until("the socket has heard of everything", || {
            let heard = *heard.lock().expect("no panic while it is held");
            std::future::ready((heard == count).then_some(()))
        })
        .await;
        listener.abort();
        let mut last = 0;
        while last < count {
            let sent = receiver.notification(self.version, &self.path).await;
            if let (Some(first), Some(until)) = (sent.numbers().first(), sent.numbers().last()) {
                assert!(*first <= last + 1, "{first} after {last}: skipped");
                last = last.max(*until);
            }
        }
        assert_eq!(base.status(&self.hook).await.status, "active");
        // What was told before is told again.
        let mut again = Vec::new();
        while (again.len() as u64) < count {
            let query = format!("eventsSinceNumber={}", again.len() + 1);
            again.extend(base.events(&self.hook, &query).await.foci());
        }
        assert_eq!(again, self.events);
    }
}

/// How many versions there are, each of which can be read.
async fn check_versions(base: &Client, path: &str, acknowledged: u64) -> u64 {
    let history = base.get(&format!("{path}/_history?_count=1")).await;
    if history.status == 404 {
        assert_eq!(acknowledged, 0, "{path} is lost");
        return 0;
    }
    let total = history.expect(200).json()["total"].as_u64().expect("a total");
    assert!(total >= acknowledged, "{path}: version {acknowledged} is lost, {total} are there");
    for version in 1..=total {
        let reply = base.get(&format!("{path}/_history/{version}")).await;
        assert!(matches!(reply.status, 200 | 410), "{reply}");
    }
    total
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
