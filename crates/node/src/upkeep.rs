//! What is done now and then: cursors written, old events and tokens forgotten.

use std::sync::Arc;
use std::time::Duration;

use cresset_store::{Forgotten, Retention, crash_point};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::error::Error;
use crate::shared::Shared;
use crate::writer::WriterHandle;

/// How long a cursor waits at most before it is written.
const CURSOR_PERIOD: Duration = Duration::from_millis(500);
/// How often there is a look for what can be forgotten.
const RETENTION_PERIOD: Duration = Duration::from_secs(60);

/// Subscriptions looked at in one step, which no write can get past.
const LOOK: usize = 64;
/// Events forgotten in one step, once there are some: as many as make a step worth its flush.
const SWEEP: usize = 1_000;
/// How long the writer has the store for itself after a step that found nothing: a sweep over a million subscriptions
/// must not be felt by those who write.
const PAUSE: Duration = Duration::from_millis(20);

/// Works until told to stop. The cursors of the last moments are left for [`write_cursors`].
pub(crate) async fn run(shared: Arc<Shared>, writer: WriterHandle, stop: watch::Receiver<bool>) {
    tokio::join!(keep_cursors(&shared, &writer, stop.clone()), keep_forgetting(&shared, stop));
}

async fn keep_cursors(shared: &Shared, writer: &WriterHandle, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(CURSOR_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stop.borrow() {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => {}
        }
        write_cursors(shared, writer).await;
    }
}

/// Forgets a little at a time, from the start on: a server that is restarted often forgets all the same.
async fn keep_forgetting(shared: &Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut limit = LOOK;
    while !*stop.borrow() {
        let pause = match forget_some(shared, limit).await {
            Ok(Forgotten { finished: true, .. }) => RETENTION_PERIOD,
            Ok(Forgotten { events: 0, tokens: 0, subscriptions: 0, .. }) => {
                limit = LOOK;
                PAUSE
            }
            Ok(_) => {
                limit = SWEEP;
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "old events cannot be forgotten");
                RETENTION_PERIOD
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Writes all cursors that wait.
pub(crate) async fn write_cursors(shared: &Shared, writer: &WriterHandle) {
    loop {
        let records = shared.cursors.take();
        let last = records.is_empty();
        if !last {
            crash_point("upkeep.cursors-taken");
        }
        // Also without a cursor: what the writer could not write is tried again with this.
        if let Err(error) = writer.record(records.clone()).await {
            // With the next ones: of a subscription that nothing happens to, there would be none for long.
            shared.cursors.put_back(records);
            tracing::warn!(%error, "cursors were not written");
            return;
        }
        if last {
            return;
        }
        crash_point("upkeep.cursors-written");
    }
}

/// Forgets all that retention does not keep.
#[cfg(feature = "stepped")]
pub(crate) async fn forget(shared: &Arc<Shared>) -> Result<(), Error> {
    while !forget_some(shared, cresset_store::FORGET_STEP_MAX).await?.finished {}
    Ok(())
}

/// One step of forgetting what retention does not keep.
async fn forget_some(shared: &Arc<Shared>, limit: usize) -> Result<Forgotten, Error> {
    let now = shared.clock.now();
    let config = &shared.config.retention;
    let retention = Retention {
        events_before: now.checked_sub(config.events_keep).ok(),
        events_per_subscription_max: Some(config.events_per_subscription_max),
        tokens_expired_before: Some(now),
    };
    let forgotten = shared.read(move |store| store.forget(&retention, limit)).await?;
    shared.counters.events_forgotten.add(forgotten.events);
    crash_point("upkeep.forgotten");
    Ok(forgotten)
}
