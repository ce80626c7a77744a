//! W10: a subscriber that was away for long pages through `$events`, then resumes on a socket, while others go on.
//!
//! It has a thread of its own and rests in the stretches in which the others are measured alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Settings;
use super::large::{Store, launch, subscription_id};
use super::report::{Away, Disturbed};
use crate::audit::Passed;
use crate::http::Connection;
use crate::load::{Client, Segment, audit, open_clients, open_loop};
use crate::notification::{Kind, Notification};
use crate::socket::EventSocket;
use crate::statistics::{Samples, Spread, rate};
use crate::target::{Target, bind};

/// Others, each with a subscription and socket of its own.
const OTHERS: usize = 16;
/// How long a page or a frame may hang.
const HANG_MAX: Duration = Duration::from_secs(60);
/// How long all that is left may take.
const FINISH_MAX: Duration = Duration::from_secs(300);

/// Measures both ways of catching up, pair by pair.
pub(super) async fn run(settings: &Settings, mut store: Store) -> anyhow::Result<(Away, Passed)> {
    let target = Target::launch(&settings.ours(), &store.directory, &launch()).await?;
    let measured = measure(settings, &mut store, &target).await;
    measured.with_context(|| format!("W10:\n{}", target.log_tail()))
}

async fn measure(
    settings: &Settings,
    store: &mut Store,
    target: &Target,
) -> anyhow::Result<(Away, Passed)> {
    let mut others = open_clients(target, OTHERS, true).await?;
    let id = subscription_id(store.take_away()?);
    let events = target.counted(&mut Connection::open(target.address).await?, &id).await?;
    ensure!(events > 0, "subscription {id} was not away");
    drop(open_loop(target, &mut others, settings.others_rate, settings.length).await?);

    let paging = Subscriber::spawn(Way::Pages, target, &id, events);
    let paging = disturb(settings, target, &mut others, paging, Order::Stop).await?;
    let resuming = Subscriber::spawn(Way::Socket, target, &id, events);
    let resuming = disturb(settings, target, &mut others, resuming, Order::Run).await?;

    reconnect(target, &mut others).await?;
    let mut passed = audit(target, &mut others).await?;
    passed.add(Passed { subscriptions: 1, events });
    let others_rate_per_second = settings.others_rate;
    Ok((Away { events, others_rate_per_second, paging, resuming }, passed))
}

/// What was idle meanwhile may be closed by now.
async fn reconnect(target: &Target, others: &mut [Client]) -> anyhow::Result<()> {
    for client in others {
        client.reconnect(target).await?;
    }
    Ok(())
}

/// Others alone and others beside one that catches up, in turn; then that one gets its last order.
async fn disturb(
    settings: &Settings,
    target: &Target,
    others: &mut [Client],
    mut subscriber: Subscriber,
    last_order: Order,
) -> anyhow::Result<Disturbed> {
    reconnect(target, others).await?;
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    let (mut got, mut time) = (0, Duration::ZERO);
    for _ in 0..settings.pairs {
        if subscriber.has_ended() {
            break;
        }
        quiet.push(open_loop(target, others, settings.others_rate, settings.length).await?);
        let (started, before) = (Instant::now(), subscriber.seen());
        subscriber.order(Order::Run, State::Running).await?;
        busy.push(open_loop(target, others, settings.others_rate, settings.length).await?);
        subscriber.order(Order::Rest, State::Resting).await?;
        got += subscriber.seen() - before;
        time += started.elapsed();
    }
    subscriber.finish(last_order).await?;
    let p99 = |segment: &Segment| segment.framed.latency().map_or(f64::NAN, |one| one.p99_us);
    let pairs = busy.iter().zip(&quiet).map(|(busy, quiet)| (p99(busy), p99(quiet)));
    Ok(Disturbed {
        p99_ratio: Spread::of_ratios(pairs),
        quiet: pooled(&quiet).latency(),
        busy: pooled(&busy).latency(),
        events_per_second: rate(got, time),
    })
}

fn pooled(segments: &[Segment]) -> Samples {
    let mut pool = Samples::default();
    segments.iter().for_each(|segment| pool.extend(&segment.framed));
    pool
}

/// One that catches up, on a thread of its own.
struct Subscriber {
    seen: Arc<AtomicU64>,
    orders: watch::Sender<Order>,
    /// What it does, or that it has ended.
    state: watch::Receiver<State>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

/// What it is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Rest,
    Run,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ended,
    Resting,
    Running,
}

/// How it catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Through `$events`, page by page.
    Pages,
    /// From a socket.
    Socket,
}

/// What it has of the target.
struct Session {
    address: SocketAddr,
    host: String,
    id: String,
    connection: Connection,
    socket: Option<EventSocket>,
}

impl Subscriber {
    /// A subscriber that catches up to event `until` while it runs.
    fn spawn(way: Way, target: &Target, id: &str, until: u64) -> Self {
        let seen = Arc::new(AtomicU64::new(0));
        let (orders, taken) = watch::channel(Order::Rest);
        let (tell, state) = watch::channel(State::Resting);
        let (address, host, id) = (target.address, target.host(), id.to_owned());
        let counted = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            // Subscribers are elsewhere: reading takes no time from the others who are measured here.
            #[cfg(target_os = "linux")]
            yield_to_all()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let caught_up = runtime.block_on(async {
                let connection = Connection::open(address).await?;
                let session = Session { address, host, id, connection, socket: None };
                session.catch_up(way, until, &counted, taken, &tell).await
            });
            tell.send_replace(State::Ended);
            caught_up
        });
        Self { seen, orders, state, thread: Some(thread) }
    }

    fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    fn has_ended(&self) -> bool {
        *self.state.borrow() == State::Ended
    }

    /// Orders it to do something, and waits until it does.
    async fn order(&mut self, order: Order, wanted: State) -> anyhow::Result<()> {
        self.orders.send_replace(order);
        let done = self.state.wait_for(|state| *state == wanted || *state == State::Ended);
        drop(timeout(HANG_MAX, done).await.context("the subscriber hangs")??);
        Ok(())
    }

    /// Gives it its last order, and waits for its end.
    async fn finish(&mut self, order: Order) -> anyhow::Result<()> {
        self.orders.send_replace(order);
        let ended = self.state.wait_for(|state| *state == State::Ended);
        drop(timeout(FINISH_MAX, ended).await.context("the subscriber does not catch up")??);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(caught_up)) => caught_up,
            Some(Err(_)) | None => Err(anyhow!("the subscriber failed")),
        }
    }
}

impl Session {
    async fn catch_up(
        mut self,
        way: Way,
        until: u64,
        seen: &AtomicU64,
        mut orders: watch::Receiver<Order>,
        tell: &watch::Sender<State>,
    ) -> anyhow::Result<()> {
        while seen.load(Ordering::Relaxed) < until {
            let order = *orders.borrow();
            match order {
                Order::Rest => {
                    tell.send_replace(State::Resting);
                    orders.changed().await?;
                    continue;
                }
                Order::Run => {
                    tell.send_if_modified(|state| {
                        std::mem::replace(state, State::Running) != State::Running
                    });
                }
                Order::Stop => return Ok(()),
            }
            timeout(HANG_MAX, self.step(way, seen)).await.context("nothing comes")??;
        }
        Ok(())
    }

    /// One page or one frame.
    async fn step(&mut self, way: Way, seen: &AtomicU64) -> anyhow::Result<()> {
        let next = seen.load(Ordering::Relaxed) + 1;
        match way {
            Way::Pages => {
                let id = &self.id;
                let path = format!("/r4/Subscription/{id}/$events?eventsSinceNumber={next}");
                let page = self.connection.get(&self.host, &path).await?;
                take(&Notification::parse(&page)?, seen)
            }
            Way::Socket => {
                let socket = match &mut self.socket {
                    Some(socket) => socket,
                    None => {
                        let bound = bind(self.address, &mut self.connection, &self.id).await?;
                        self.socket.insert(bound)
                    }
                };
                let (_, frame) = socket.next().await?;
                if frame.kind == Kind::Event { take(&frame, seen) } else { Ok(()) }
            }
        }
    }
}

/// Lets this thread run only where no other wants to.
#[cfg(target_os = "linux")]
fn yield_to_all() -> anyhow::Result<()> {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
        .map_err(|error| anyhow!("the priority of the subscriber's thread: {error}"))
}

/// Takes events in, which follow those before without gap or repeat.
fn take(notification: &Notification, seen: &AtomicU64) -> anyhow::Result<()> {
    ensure!(!notification.events.is_empty(), "a page without events");
    let mut last = seen.load(Ordering::Relaxed);
    for event in &notification.events {
        ensure!(event.number == last + 1, "event {} came after {last}", event.number);
        last = event.number;
    }
    seen.store(last, Ordering::Relaxed);
    Ok(())
}
