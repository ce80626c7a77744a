//! The load: clients in a closed loop, or creates at intended times.
//!
//! One thread drives all clients; each has one HTTP connection and, where the target notifies, one socket of its
//! own. A create is done when its 201 and its frame have both been read.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::audit::{Ledger, Passed};
use crate::http::Connection;
use crate::notification::{Kind, Notification};
use crate::observation::{create_request, patient};
use crate::process::Cpu;
use crate::socket::EventSocket;
use crate::statistics::Samples;
use crate::target::Target;

/// How long a segment may hang beyond its time before it is given up.
const HANG_MAX: Duration = Duration::from_secs(30);
/// Most accounts described in a failure.
const FAULTS_MAX: usize = 5;

/// One client with its account.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    request: Vec<u8>,
    subscription: Option<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    id: String,
    socket: EventSocket,
    ledger: Ledger,
}

/// What one measured stretch gave.
#[derive(Debug, Default)]
pub struct Segment {
    /// Its length.
    pub elapsed: Duration,
    /// Creates done in it.
    pub creates: u64,
    /// CPU time of the target.
    pub server_cpu: Duration,
    /// CPU time of this program.
    pub client_cpu: Duration,
    /// From the create (in an open loop: its intended time) to its 201.
    pub created: Samples,
    /// From the create (in an open loop: its intended time) to its frame.
    pub framed: Samples,
    /// In an open loop, how late creates were sent: the generator's own delay, and waiting for a free connection.
    pub lag: Samples,
}

/// When the answer and the frame of one create were read.
struct Done {
    created: Instant,
    framed: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Warming,
    Measuring,
    Over,
}

impl Client {
    /// Client `number`, with a subscription and socket of its own if `subscribed`.
    ///
    /// # Errors
    /// When the target refuses.
    pub async fn open(target: &Target, number: usize, subscribed: bool) -> anyhow::Result<Self> {
        let patient = patient(number);
        let mut connection = Connection::open(target.address).await?;
        let mut subscription = None;
        if subscribed {
            let subscriber = target.subscriber(&mut connection, &patient).await?;
            let (id, socket) = (subscriber.id, subscriber.socket);
            subscription = Some(Subscription { id, socket, ledger: Ledger::default() });
        }
        let request = create_request(&target.host(), &patient);
        Ok(Self { connection, request, subscription })
    }

    /// A client for a subscription that exists already.
    ///
    /// # Errors
    /// When the target refuses.
    pub async fn adopt(
        target: &Target,
        number: usize,
        id: String,
        socket: EventSocket,
    ) -> anyhow::Result<Self> {
        let connection = Connection::open(target.address).await?;
        let request = create_request(&target.host(), &patient(number));
        let subscription = Some(Subscription { id, socket, ledger: Ledger::default() });
        Ok(Self { connection, request, subscription })
    }

    /// Opens its connection anew: a server closes one on which nothing was asked for long.
    ///
    /// # Errors
    /// When the target does not accept.
    pub async fn reconnect(&mut self, target: &Target) -> anyhow::Result<()> {
        self.connection = Connection::open(target.address).await?;
        Ok(())
    }

    /// Creates one resource and waits for its answer and its frame.
    ///
    /// # Errors
    /// When the create is not answered with 201, or a frame breaks the account.
    async fn create(&mut self) -> anyhow::Result<Done> {
        let Self { connection, request, subscription } = self;
        let Some(subscription) = subscription else {
            let (created, _) = answer(connection, request).await?;
            return Ok(Done { created, framed: None });
        };
        let Subscription { socket, ledger, .. } = subscription;
        // Each side is noted when it comes: if the other never does, the account says what is missing.
        let ledger = RefCell::new(ledger);
        let answered = async {
            let (created, id) = answer(connection, request).await?;
            ledger.borrow_mut().acknowledge(&id.context("a create without Location")?)?;
            anyhow::Ok(created)
        };
        let notified = async {
            let (framed, notification) = event(socket).await?;
            deliver(&mut ledger.borrow_mut(), &notification)?;
            anyhow::Ok(framed)
        };
        let (created, framed) = tokio::try_join!(answered, notified)?;
        Ok(Done { created, framed: Some(framed) })
    }

    /// Creates until the phase is over.
    async fn repeat(
        &mut self,
        phase: &Cell<Phase>,
        segment: &RefCell<Segment>,
    ) -> anyhow::Result<()> {
        while phase.get() != Phase::Over {
            let sent = Instant::now();
            let done = self.create().await?;
            if phase.get() == Phase::Measuring {
                segment.borrow_mut().note(sent, &done);
            }
        }
        Ok(())
    }

    /// Takes the next intended time whenever free, late ones at once.
    async fn follow(
        &mut self,
        times: &Mutex<mpsc::Receiver<Instant>>,
        segment: &RefCell<Segment>,
    ) -> anyhow::Result<()> {
        loop {
            let next = times.lock().await.recv().await;
            let Some(intended) = next else { return Ok(()) };
            let sent = Instant::now();
            let done = self.create().await?;
            let mut segment = segment.borrow_mut();
            segment.lag.push(sent.saturating_duration_since(intended));
            segment.note(intended, &done);
        }
    }

    /// One create, outside any measurement.
    ///
    /// # Errors
    /// As for any create.
    pub async fn create_once(&mut self) -> anyhow::Result<()> {
        timeout(HANG_MAX, self.create()).await.context("a create hangs")??;
        Ok(())
    }

    /// Closes the account: nothing missing, nothing surplus, the target's count agrees.
    ///
    /// # Errors
    /// With the fault found.
    pub async fn audit(&mut self, target: &Target) -> anyhow::Result<Passed> {
        let Some(Subscription { id, socket, ledger }) = &mut self.subscription else {
            return Ok(Passed::default());
        };
        let rest =
            timeout(HANG_MAX, socket.drain()).await.context("the target answers no ping")??;
        for notification in rest {
            deliver(ledger, &notification)?;
        }
        let counted = target.counted(&mut self.connection, id).await?;
        ledger.close(counted).with_context(|| format!("subscription {id} of {}", target.name()))?;
        Ok(Passed { subscriptions: 1, events: ledger.acknowledged() })
    }
}

impl Segment {
    fn note(&mut self, sent: Instant, done: &Done) {
        self.creates += 1;
        self.created.push(done.created.saturating_duration_since(sent));
        if let Some(framed) = done.framed {
            self.framed.push(framed.saturating_duration_since(sent));
        }
    }
}

/// Opens `count` clients of a target.
///
/// # Errors
/// When the target refuses one.
pub async fn open_clients(
    target: &Target,
    count: usize,
    subscribed: bool,
) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        clients.push(Client::open(target, number, subscribed).await?);
    }
    Ok(clients)
}

/// Audits all clients.
///
/// # Errors
/// With the first fault found.
pub async fn audit(target: &Target, clients: &mut [Client]) -> anyhow::Result<Passed> {
    let mut passed = Passed::default();
    for client in clients {
        passed.add(client.audit(target).await?);
    }
    Ok(passed)
}

/// Keeps all clients creating, each its next when its last is done; measures `length` after `warm_up`.
///
/// # Errors
/// When a create fails or hangs.
pub async fn closed_loop(
    target: &Target,
    clients: &mut [Client],
    warm_up: Duration,
    length: Duration,
) -> anyhow::Result<Segment> {
    let phase = Cell::new(Phase::Warming);
    let segment = RefCell::new(Segment::default());
    let load = try_join_all(clients.iter_mut().map(|client| client.repeat(&phase, &segment)));
    let load = async {
        timeout(warm_up + length + HANG_MAX, load).await.context("the load hangs")??;
        anyhow::Ok(())
    };
    let clock = async {
        tokio::time::sleep(warm_up).await;
        let before = Reading::take(target);
        phase.set(Phase::Measuring);
        tokio::time::sleep(length).await;
        phase.set(Phase::Over);
        Ok(before.since(&Reading::take(target)))
    };
    let done: anyhow::Result<_> = async { tokio::try_join!(load, clock) }.await;
    let ((), (elapsed, server_cpu, client_cpu)) =
        done.map_err(|error| explain(error, target, clients))?;
    Ok(Segment { elapsed, server_cpu, client_cpu, ..segment.into_inner() })
}

/// Creates `rate` a second for `length`, each at its intended time whatever happened to those before it.
///
/// # Errors
/// When a create fails or hangs.
pub async fn open_loop(
    target: &Target,
    clients: &mut [Client],
    rate: u32,
    length: Duration,
) -> anyhow::Result<Segment> {
    let interval = Duration::from_secs(1) / rate;
    let count = usize::try_from(length.as_nanos() / interval.as_nanos()).unwrap_or(usize::MAX);
    ensure!(count > 0, "no time for one create");
    let segment = RefCell::new(Segment::default());
    let (sender, times) = mpsc::channel(count);
    let times = Mutex::new(times);
    let before = Reading::take(target);
    let pace = std::thread::spawn(move || pace(&sender, interval, count));
    let follow = clients.iter_mut().map(|client| client.follow(&times, &segment));
    let load = timeout(length + HANG_MAX, try_join_all(follow)).await;
    let done = load.context("the load hangs").flatten();
    done.map_err(|error| explain(error, target, clients))?;
    let (elapsed, server_cpu, client_cpu) = before.since(&Reading::take(target));
    ensure!(pace.join().is_ok(), "the pacing thread failed");
    Ok(Segment { elapsed, server_cpu, client_cpu, ..segment.into_inner() })
}

/// Adds to a failure what the accounts lack and what the target logged.
fn explain(error: anyhow::Error, target: &Target, clients: &[Client]) -> anyhow::Error {
    let accounts = clients.iter().filter_map(|client| client.subscription.as_ref());
    let faults = accounts.filter_map(|account| {
        let fault = account.ledger.close(account.ledger.acknowledged()).err()?;
        Some(format!("subscription {}: {fault}", account.id))
    });
    let faults: Vec<String> = faults.take(FAULTS_MAX).collect();
    error.context(format!("{} failed: {}\n{}", target.name(), faults.join("; "), target.log_tail()))
}

/// Hands out intended times when they come. A thread of its own: the runtime's timers tick in milliseconds.
fn pace(clients: &mpsc::Sender<Instant>, interval: Duration, count: usize) {
    let started = Instant::now();
    for number in 0..count {
        let due = started + interval * u32::try_from(number).unwrap_or(u32::MAX);
        while let Some(wait) =
            due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
        {
            std::thread::park_timeout(wait);
        }
        // The queue holds them all; it is closed only when a client has failed and the run is over.
        let _ = clients.try_send(due);
    }
}

/// Clock and CPU times at one moment.
struct Reading {
    at: Instant,
    server: Cpu,
    client: Cpu,
}

impl Reading {
    fn take(target: &Target) -> Self {
        Self { at: Instant::now(), server: target.process.cpu(), client: Cpu::of_self() }
    }

    /// Time and CPU times from this reading to a later one.
    fn since(&self, later: &Self) -> (Duration, Duration, Duration) {
        (later.at - self.at, later.server.since(&self.server), later.client.since(&self.client))
    }
}

/// Sends the create; gives when its 201 was read, and the id of what was created.
async fn answer(
    connection: &mut Connection,
    request: &[u8],
) -> anyhow::Result<(Instant, Option<String>)> {
    let answer = connection.exchange(request).await?;
    let read = Instant::now();
    ensure!(answer.status == 201, "a create was answered {}", answer.describe());
    Ok((read, answer.created_id("Observation").map(str::to_owned)))
}

/// The next frame with an event.
async fn event(socket: &mut EventSocket) -> anyhow::Result<(Instant, Notification)> {
    loop {
        let (read, notification) = socket.next().await?;
        if notification.kind == Kind::Event {
            return Ok((read, notification));
        }
    }
}

fn deliver(ledger: &mut Ledger, notification: &Notification) -> anyhow::Result<()> {
    for event in &notification.events {
        ledger.deliver(event.number, &event.focus)?;
    }
    Ok(())
}
