//! W4: one event to many endpoints, each a host with a subscription of its own, beside R; and what one that hangs and
//! many that are dead cost the others.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Settings;
use super::fan_out::silent;
use super::pairs::{Stretch, cpu_since};
use super::report::{Ratios, Sent, Webhooks, WithDead, WithHanging};
use crate::audit::Passed;
use crate::baseline::Server;
use crate::baseline::sender::ENDPOINTS_PATH;
use crate::http::Connection;
use crate::observation::{create_request, patient};
use crate::receiver::{Mode, Receiver, digest};
use crate::statistics::{Samples, Spread};
use crate::target::{Kind, Target};

/// Of so many endpoints one is dead.
const ONE_DEAD_OF: usize = 10;
/// Fewest endpoints of which one that hangs is held to the limit.
pub(super) const ONE_HANGS_OF: usize = 100;
/// Webhooks intended in a second of the open loop, at most.
const HOOKS_PER_SECOND: usize = 500;
/// Fewest creates of a stretch of the open loop.
const CREATES_MIN: u32 = 3;
/// Fewest rounds of a stretch of the closed loop.
const ROUNDS_MIN: u64 = 3;
/// Share of a stretch in which creates are made that nobody hears of.
const SILENT_SHARE: f64 = 0.5;
/// The patient of all subscriptions, and one of none.
const HEARD: usize = 0;
const UNHEARD: usize = 1;
/// How long a round may hang.
const HANG_MAX: Duration = Duration::from_secs(60);

/// Measures ours and R in turn, then ours beside ours with one endpoint that hangs, and with a tenth of them dead.
pub(super) async fn run(
    settings: &Settings,
    endpoints: usize,
) -> anyhow::Result<(Webhooks, Passed)> {
    let directory = settings.directory()?;
    let start = async |kind: &Kind, name: &str| {
        let target = Target::start(kind, &directory.path().join(name)).await?;
        Contender::start(target, endpoints).await
    };
    let mut bare = start(&Kind::Baseline(Server::Sender), "bare").await?;
    let mut ours = start(&settings.ours(), "ours").await?;
    let mut dead = None;
    if endpoints >= ONE_DEAD_OF {
        dead = Some(start(&settings.ours(), "dead").await?);
    }
    let measured = measure(settings, &mut ours, &mut bare, dead.as_mut()).await;
    measured.with_context(|| format!("W4, {endpoints} endpoints:\n{}", ours.target.log_tail()))
}

async fn measure(
    settings: &Settings,
    ours: &mut Contender,
    bare: &mut Contender,
    dead: Option<&mut Contender>,
) -> anyhow::Result<(Webhooks, Passed)> {
    let endpoints = ours.receiver.urls().len();
    let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
    ours.stretch(settings.length / 5).await?;
    bare.stretch(settings.length / 5).await?;
    for _ in 0..settings.pairs {
        of_ours.push(ours.stretch(settings.length).await?);
        of_bare.push(bare.stretch(settings.length).await?);
    }
    bare.audit_foci(0)?;
    let (mut with_hanging, mut with_dead, mut passed) = (None, None, Passed::default());
    if let Some(dead) = dead {
        let one = beside(settings, ours, dead, &[Mode::Hanging]).await?;
        with_hanging = Some(WithHanging {
            rate_per_second: one.rate,
            none_hangs: pooled(&one.without).latency(),
            one_hangs: pooled(&one.with).latency(),
            p99_ratio: one.p99_ratio(),
        });
        let modes = [Mode::Hanging, Mode::Refusing, Mode::Slow];
        let modes: Vec<_> = modes.into_iter().cycle().take(endpoints / ONE_DEAD_OF).collect();
        let tenth = beside(settings, ours, dead, &modes).await?;
        with_dead = Some(WithDead {
            dead: modes.len(),
            rate_per_second: tenth.rate,
            none_dead: pooled(&tenth.without).latency(),
            tenth_dead: pooled(&tenth.with).latency(),
            p99_ratio: tenth.p99_ratio(),
        });
        passed.add(dead.audit(endpoints / ONE_DEAD_OF).await?);
    }
    passed.add(ours.audit(0).await?);
    let figures = Webhooks {
        endpoints,
        ratios: Ratios::of(&of_ours, &of_bare),
        ours: Sent::of(&of_ours),
        bare: Sent::of(&of_bare),
        with_hanging,
        with_dead,
    };
    Ok((figures, passed))
}

/// Stretches of the open loop in turn.
struct Beside {
    rate: u32,
    /// All endpoints healthy.
    without: Vec<Samples>,
    /// The first of them not.
    with: Vec<Samples>,
}

impl Beside {
    /// p99 beside those that are not well over that without, pair by pair.
    fn p99_ratio(&self) -> Option<Spread> {
        let p99 = |samples: &Samples| samples.latency().map_or(f64::NAN, |latency| latency.p99_us);
        let pairs = self.with.iter().zip(&self.without);
        Spread::of_ratios(pairs.map(|(with, without)| (p99(with), p99(without))))
    }
}

/// Open loops in turn: all endpoints healthy, and the first of them in these modes from now on.
async fn beside(
    settings: &Settings,
    ours: &mut Contender,
    dead: &mut Contender,
    modes: &[Mode],
) -> anyhow::Result<Beside> {
    let (endpoints, count) = (ours.receiver.urls().len(), modes.len());
    for (endpoint, mode) in modes.iter().enumerate() {
        dead.receiver.set_mode(endpoint, *mode);
    }
    let rate = u32::try_from((HOOKS_PER_SECOND / endpoints).clamp(1, 100)).unwrap_or(1);
    // They come to notice before anything is measured.
    dead.paced(rate, settings.length, count).await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..settings.pairs {
        without.push(ours.paced(rate, settings.length, count).await?);
        with.push(dead.paced(rate, settings.length, count).await?);
    }
    Ok(Beside { rate, without, with })
}

fn pooled(stretches: &[Samples]) -> Samples {
    let mut pool = Samples::default();
    stretches.iter().for_each(|samples| pool.extend(samples));
    pool
}

/// One sender with the endpoints it sends to.
struct Contender {
    target: Target,
    receiver: Receiver,
    connection: Connection,
    heard: Vec<u8>,
    unheard: Vec<u8>,
    /// Ids of the subscriptions, in the order of the endpoints.
    ids: Vec<String>,
    /// Digests of what was created, in order.
    acknowledged: Vec<u64>,
}

impl Contender {
    async fn start(target: Target, endpoints: usize) -> anyhow::Result<Self> {
        let receiver = Receiver::open(endpoints).await?;
        let mut connection = Connection::open(target.address).await?;
        let heard = create_request(&target.host(), &patient(HEARD));
        let (mut ids, mut unheard) = (Vec::new(), silent(&heard)?);
        match target.kind {
            Kind::Cresset(_) => {
                unheard = create_request(&target.host(), &patient(UNHEARD));
                let urls = receiver.urls().iter().cloned();
                ids = target.hook_all(&mut connection, &patient(HEARD), urls).await?;
                receiver.all_shook_hands(HANG_MAX).await?;
            }
            Kind::Baseline(_) => {
                let body = serde_json::to_string(receiver.urls())?;
                let (host, length) = (target.host(), body.len());
                let request = format!(
                    "POST {ENDPOINTS_PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                let answer = connection.exchange(request.as_bytes()).await?;
                ensure!(answer.status == 200, "R was answered {}", answer.describe());
            }
        }
        Ok(Self { target, receiver, connection, heard, unheard, ids, acknowledged: Vec::new() })
    }

    /// Creates again and again, each time waiting for all endpoints; then creates that nobody hears of.
    async fn stretch(&mut self, length: Duration) -> anyhow::Result<Stretch> {
        self.reconnect().await?;
        let mut stretch = Stretch::default();
        let (started, before) = (Instant::now(), self.target.process.cpu());
        while started.elapsed() < length || stretch.creates < ROUNDS_MIN {
            let sent = Instant::now();
            self.create().await?;
            self.receiver.all_reach(self.acknowledged.len() as u64, HANG_MAX).await?;
            stretch.last.push(sent.elapsed());
            stretch.creates += 1;
        }
        stretch.cpu = cpu_since(&self.target, &before);
        stretch.received = stretch.creates * self.receiver.urls().len() as u64;
        let (started, before) = (Instant::now(), self.target.process.cpu());
        while started.elapsed() < length.mul_f64(SILENT_SHARE) {
            let answer = self.connection.exchange(&self.unheard).await?;
            ensure!(matches!(answer.status, 200 | 201), "answered {}", answer.describe());
            stretch.silent_creates += 1;
        }
        stretch.silent_cpu = cpu_since(&self.target, &before);
        Ok(stretch)
    }

    /// What was idle while the other one was measured may be closed by now.
    async fn reconnect(&mut self) -> anyhow::Result<()> {
        self.connection = Connection::open(self.target.address).await?;
        Ok(())
    }

    async fn create(&mut self) -> anyhow::Result<()> {
        let answer = self.connection.exchange(&self.heard).await?;
        ensure!(answer.status == 201, "a create was answered {}", answer.describe());
        let focus = match self.target.kind {
            Kind::Cresset(_) => {
                digest(answer.created_id("Observation").context("a create without Location")?)
            }
            Kind::Baseline(_) => digest(&(self.acknowledged.len() + 1).to_string()),
        };
        self.acknowledged.push(focus);
        Ok(())
    }

    /// Creates at intended times; gives the latencies to the endpoints from `first` on.
    async fn paced(
        &mut self,
        rate: u32,
        length: Duration,
        first: usize,
    ) -> anyhow::Result<Samples> {
        self.reconnect().await?;
        let interval = Duration::from_secs(1) / rate;
        let count = u32::try_from(length.as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX);
        let (started, before) = (Instant::now(), self.acknowledged.len() as u64);
        for number in 0..count.max(CREATES_MIN) {
            tokio::time::sleep_until((started + interval * number).into()).await;
            self.create().await?;
        }
        self.receiver.all_reach(self.acknowledged.len() as u64, HANG_MAX).await?;
        let mut samples = Samples::default();
        for (number, came) in self.receiver.arrivals(before + 1, first) {
            let number = u32::try_from(number - before - 1).unwrap_or(u32::MAX);
            samples.push(came.saturating_duration_since(started + interval * number));
        }
        Ok(samples)
    }

    /// Every endpoint from `first` on has had each event once, in order, and the server counts as many for all.
    async fn audit(&mut self, first: usize) -> anyhow::Result<Passed> {
        self.audit_foci(first)?;
        self.reconnect().await?;
        let expected = self.acknowledged.len() as u64;
        let mut passed = Passed::default();
        for (endpoint, id) in self.ids.iter().enumerate() {
            let counted = self.target.counted(&mut self.connection, id).await?;
            ensure!(counted == expected, "endpoint {endpoint}: {counted} events, not {expected}");
            if endpoint >= first {
                passed.add(Passed { subscriptions: 1, events: expected });
            }
        }
        Ok(passed)
    }

    fn audit_foci(&self, first: usize) -> anyhow::Result<()> {
        for endpoint in first..self.receiver.urls().len() {
            let (foci, repeats) = self.receiver.account(endpoint)?;
            ensure!(repeats == 0, "endpoint {endpoint} got {repeats} events again");
            ensure!(foci == self.acknowledged, "endpoint {endpoint} got other events");
        }
        Ok(())
    }
}
