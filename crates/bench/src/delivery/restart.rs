//! W6: from exec to serving on the large store, and what its subscriptions take of memory.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::time::timeout;

use super::Settings;
use super::large::{Store, launch, subscription_id, subscription_patient};
use super::report::Restart;
use crate::audit::Passed;
use crate::http::Connection;
use crate::notification::Kind;
use crate::observation::create_request;
use crate::process::Memory;
use crate::settle::settle;
use crate::statistics::{Spread, per, round};
use crate::target::Target;

/// How long the first notification may hang.
const HANG_MAX: Duration = Duration::from_secs(60);

/// Starts on the store again and again, each time after a kill.
pub(super) async fn run(settings: &Settings, store: &Store) -> anyhow::Result<(Restart, Passed)> {
    let empty = empty(settings).await?;
    let (mut ready, mut first, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    let (mut passed, mut full) = (Passed::default(), empty);
    for number in 0..settings.restarts {
        let started = Instant::now();
        let target = Target::launch(&settings.ours(), &store.directory, &launch()).await?;
        ready.push(round(started.elapsed().as_secs_f64()));
        cpu.push(round(target.process.cpu().since_start().as_secs_f64()));
        // Each start another one: what it had before is not to be read over and over.
        let subscription = store_subscription(store, number);
        let notified = timeout(HANG_MAX, notification(&target, subscription)).await;
        let events = notified.context("the first notification hangs").flatten();
        let events = events.with_context(|| format!("restart:\n{}", target.log_tail()))?;
        first.push(round(started.elapsed().as_secs_f64()));
        passed.add(Passed { subscriptions: 1, events });
        full = settle(&target).await?.0;
    }
    let growth = full.resident_bytes.saturating_sub(empty.resident_bytes);
    let figures = Restart {
        store: settings.large,
        store_bytes: store.bytes,
        fill_seconds: store.fill_seconds,
        index_seconds: store.index_seconds,
        ready_seconds: Spread::of(ready),
        first_notification_seconds: Spread::of(first),
        ready_cpu_seconds: Spread::of(cpu),
        empty,
        full,
        bytes_per_subscription: per(super::pairs::as_float(growth), settings.large.subscriptions),
    };
    Ok((figures, passed))
}

/// Memory of a server that has nothing.
async fn empty(settings: &Settings) -> anyhow::Result<Memory> {
    let directory = settings.directory()?;
    let target = Target::launch(&settings.ours(), directory.path(), &launch()).await?;
    Ok(settle(&target).await?.0)
}

/// A websocket subscription of the store that is not away.
fn store_subscription(store: &Store, number: usize) -> u64 {
    let first = store.away().next_multiple_of(2).max(18);
    first + 2 * number as u64
}

/// Binds to a subscription, has it get an event, and reads all it missed up to that; gives how many.
async fn notification(target: &Target, subscription: u64) -> anyhow::Result<u64> {
    let mut connection = Connection::open(target.address).await?;
    let id = subscription_id(subscription);
    let before = target.counted(&mut connection, &id).await?;
    let mut socket = target.bind(&mut connection, &id).await?;
    let request = create_request(&target.host(), &subscription_patient(subscription));
    let answer = connection.exchange(&request).await?;
    ensure!(answer.status == 201, "a create was answered {}", answer.describe());
    let created = answer.created_id("Observation").context("a create without Location")?;
    let (mut events, mut next) = (0, None);
    loop {
        let (_, frame) = socket.next().await?;
        ensure!(frame.kind == Kind::Event, "a frame of another kind came");
        for event in frame.events {
            let due = *next.get_or_insert(event.number);
            ensure!(event.number == due, "event {} came, not {due}", event.number);
            next = Some(due + 1);
            events += 1;
            if event.number == before + 1 {
                ensure!(event.focus == created, "the last event has another focus");
                return Ok(events);
            }
        }
    }
}
