//! What is done now and then: cursors written, old events and tokens forgotten.

use std::sync::Arc;
use std::time::Duration;

use cresset_store::{FORGET_STEP_MAX, Retention, crash_point};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::Error;
use crate::shared::Shared;
use crate::writer::WriterHandle;

/// How long a cursor waits at most before it is written.
const CURSOR_PERIOD: Duration = Duration::from_millis(500);
/// How often there is a look for what can be forgotten.
const RETENTION_PERIOD: Duration = Duration::from_secs(60);

/// Works until told to stop. The cursors of the last moments are left for [`write_cursors`].
pub(crate) async fn run(
    shared: Arc<Shared>,
    writer: WriterHandle,
    mut stop: watch::Receiver<bool>,
) {
    let mut ticks = interval(CURSOR_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // First at the start: a server that is restarted often forgets all the same.
    let mut forget_at = Instant::now();
    while !*stop.borrow() {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => {}
        }
        write_cursors(&shared, &writer).await;
        if Instant::now() >= forget_at {
            forget_at = Instant::now() + RETENTION_PERIOD;
            if let Err(error) = forget(&shared).await {
                tracing::error!(%error, "old events cannot be forgotten");
            }
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
        if let Err(error) = writer.record(records).await {
            // What is lost is sent again after a restart, with the same numbers (RQ-CH-03).
            tracing::warn!(%error, "cursors were not written");
            return;
        }
        if last {
            return;
        }
        crash_point("upkeep.cursors-written");
    }
}

/// Forgets what retention does not keep.
pub(crate) async fn forget(shared: &Arc<Shared>) -> Result<(), Error> {
    let now = shared.clock.now();
    let config = &shared.config.retention;
    let retention = Retention {
        events_before: now.checked_sub(config.events_keep).ok(),
        events_per_subscription_max: Some(config.events_per_subscription_max),
        tokens_expired_before: Some(now),
    };
    loop {
        let forgotten = shared.read(move |store| store.forget(&retention, FORGET_STEP_MAX)).await?;
        crash_point("upkeep.forgotten");
        if forgotten.finished {
            return Ok(());
        }
    }
}
