//! The receiving end of webhooks: many endpoints, each a host of its own, that keep account and misbehave on demand.
//!
//! An endpoint is a port of this machine: to a sender, host name and port are what endpoints share. It takes each
//! POST, notes numbers and foci of the events in it, and answers 200. Like the other ends of the load it runs on the
//! generator's thread and does as little as it can.

use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::{Buf as _, BytesMut};
use rustc_hash::FxHasher;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::notification::{Kind, Notification};

/// Longest request read.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// How late a slow endpoint answers.
const SLOW: Duration = Duration::from_secs(2);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// How an endpoint behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Takes what comes and never answers.
    Hanging,
    /// Answers at once.
    Healthy,
    /// Nobody listens any more.
    Refusing,
    /// Answers, but late.
    Slow,
}

/// Many endpoints.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    urls: Vec<String>,
    modes: Vec<watch::Sender<Mode>>,
    /// Ends when dropped.
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    accounts: Mutex<Accounts>,
    reached: Notify,
}

#[derive(Debug, Default)]
struct Accounts {
    of: Vec<Account>,
    fault: Option<String>,
    /// The number that all healthy endpoints are to reach, and how many have not.
    goal: u64,
    missing: usize,
}

/// What one endpoint has got.
#[derive(Debug, Default)]
struct Account {
    healthy: bool,
    handshakes: u64,
    /// Digest of the focus of event 1, 2, 3 …
    foci: Vec<u64>,
    /// When each came first.
    came: Vec<Instant>,
    /// Events that came again, with the number they had.
    repeats: u64,
}

/// What stands for the id of a focus: accounts of millions of events are kept.
#[must_use]
pub fn digest(focus: &str) -> u64 {
    let mut hasher = FxHasher::default();
    focus.hash(&mut hasher);
    hasher.finish()
}

impl Receiver {
    /// Opens so many healthy endpoints.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open(count: usize) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        let (mut urls, mut modes) = (Vec::new(), Vec::new());
        for index in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.context("opening an endpoint")?;
            urls.push(format!("http://{}/hook", listener.local_addr()?));
            let (mode, seen) = watch::channel(Mode::Healthy);
            modes.push(mode);
            shared.accounts().of.push(Account { healthy: true, ..Account::default() });
            tasks.spawn(listen(listener, index, seen, Arc::clone(&shared)));
        }
        Ok(Self { shared, urls, modes, _tasks: tasks })
    }

    /// Where they are.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Has an endpoint behave so from now on. Only what healthy ones get is waited for.
    pub fn set_mode(&self, endpoint: usize, mode: Mode) {
        self.shared.accounts().of[endpoint].healthy = mode == Mode::Healthy;
        self.modes[endpoint].send_replace(mode);
    }

    /// Waits until every endpoint has had its handshake.
    ///
    /// # Errors
    /// When `limit` has passed.
    pub async fn all_shook_hands(&self, limit: Duration) -> anyhow::Result<()> {
        let all = || self.shared.accounts().of.iter().all(|account| account.handshakes > 0);
        tokio::time::timeout(limit, async {
            while !all() {
                self.shared.reached.notified().await;
            }
        })
        .await
        .context("not every endpoint had a handshake")
    }

    /// Waits until every healthy endpoint has had the event with this number.
    ///
    /// # Errors
    /// When `limit` has passed, or an event came out of order.
    pub async fn all_reach(&self, number: u64, limit: Duration) -> anyhow::Result<()> {
        self.shared.accounts().set_goal(number);
        let waited = tokio::time::timeout(limit, async {
            while self.shared.accounts().missing > 0 {
                self.shared.reached.notified().await;
            }
        });
        let waited = waited.await;
        let accounts = self.shared.accounts();
        ensure!(accounts.fault.is_none(), "{}", accounts.fault.as_deref().unwrap_or_default());
        let missing = accounts.missing;
        waited.with_context(|| format!("event {number} did not come to {missing} endpoints"))
    }

    /// Waits until one endpoint has had the event with this number.
    ///
    /// # Errors
    /// As [`Self::all_reach`].
    pub async fn reach(&self, endpoint: usize, number: u64, limit: Duration) -> anyhow::Result<()> {
        let waits = || {
            let accounts = self.shared.accounts();
            accounts.fault.is_none() && (accounts.of[endpoint].foci.len() as u64) < number
        };
        let waited = tokio::time::timeout(limit, async {
            while waits() {
                self.shared.reached.notified().await;
            }
        });
        waited.await.with_context(|| format!("event {number} did not come to endpoint {endpoint}"))
    }

    /// When the events from this number on came to each endpoint from `first` on, with their numbers.
    #[must_use]
    pub fn arrivals(&self, from: u64, first: usize) -> Vec<(u64, Instant)> {
        let accounts = self.shared.accounts();
        let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let endpoints = accounts.of.iter().skip(first);
        endpoints.flat_map(|account| (1..).zip(account.came.iter().copied()).skip(skip)).collect()
    }

    /// The digests of what came to an endpoint, in the order of their numbers, and how many came again.
    ///
    /// # Errors
    /// When one came out of order.
    pub fn account(&self, endpoint: usize) -> anyhow::Result<(Vec<u64>, u64)> {
        let accounts = self.shared.accounts();
        ensure!(accounts.fault.is_none(), "{}", accounts.fault.as_deref().unwrap_or_default());
        let account = &accounts.of[endpoint];
        Ok((account.foci.clone(), account.repeats))
    }
}

impl Shared {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, endpoint: usize, body: &[u8]) {
        let came = Instant::now();
        let mut accounts = self.accounts();
        match Notification::parse(body) {
            Ok(notification) => accounts.take(endpoint, &notification, came),
            Err(error) => accounts.fail(format!("endpoint {endpoint}: {error:#}")),
        }
        drop(accounts);
        self.reached.notify_one();
    }
}

impl Accounts {
    fn set_goal(&mut self, number: u64) {
        self.goal = number;
        let lags = |account: &&Account| account.healthy && (account.foci.len() as u64) < number;
        self.missing = self.of.iter().filter(lags).count();
    }

    fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
        self.missing = 0;
    }

    fn take(&mut self, endpoint: usize, notification: &Notification, came: Instant) {
        let goal = self.goal;
        let account = &mut self.of[endpoint];
        account.handshakes += u64::from(notification.kind == Kind::Handshake);
        let before = account.foci.len() as u64;
        for event in &notification.events {
            let focus = digest(&event.focus);
            let known = usize::try_from(event.number)
                .ok()
                .and_then(|number| account.foci.get(number.checked_sub(1)?).copied());
            match known {
                Some(known) if known == focus => account.repeats += 1,
                None if event.number == account.foci.len() as u64 + 1 => {
                    account.foci.push(focus);
                    account.came.push(came);
                }
                Some(_) | None => {
                    let (number, due) = (event.number, account.foci.len() + 1);
                    let fault = format!("endpoint {endpoint} got event {number}, not {due}");
                    self.fail(fault);
                    return;
                }
            }
        }
        if account.healthy && before < goal && account.foci.len() as u64 >= goal {
            self.missing = self.missing.saturating_sub(1);
        }
    }
}

/// Accepts until the endpoint refuses.
async fn listen(
    listener: TcpListener,
    endpoint: usize,
    mut mode: watch::Receiver<Mode>,
    shared: Arc<Shared>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(serve(stream, endpoint, mode.clone(), Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
            changed = mode.changed() => {
                if changed.is_err() || *mode.borrow() == Mode::Refusing {
                    return;
                }
            }
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    endpoint: usize,
    mode: watch::Receiver<Mode>,
    shared: Arc<Shared>,
) {
    drop(stream.set_nodelay(true));
    let mut buffer = BytesMut::with_capacity(4 << 10);
    loop {
        let Some((start, end)) = request(&buffer) else {
            let read = stream.read_buf(&mut buffer).await;
            if !matches!(read, Ok(1..)) || buffer.len() > REQUEST_BYTES_MAX {
                return;
            }
            continue;
        };
        let now = *mode.borrow();
        match now {
            Mode::Healthy => {}
            Mode::Hanging => std::future::pending().await,
            Mode::Refusing => return,
            Mode::Slow => tokio::time::sleep(SLOW).await,
        }
        shared.take(endpoint, &buffer[start..end]);
        buffer.advance(end);
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}

/// Where the body of the request at the start of the buffer is, once it is whole.
fn request(buffer: &[u8]) -> Option<(usize, usize)> {
    let start = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..start]).ok()?;
    let length = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let end = start + length.unwrap_or_default();
    (buffer.len() >= end).then_some((start, end))
}

#[cfg(test)]
mod tests;
