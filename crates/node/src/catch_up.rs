//! Turns for those who catch up: long stretches of old events, for `$events` and for sockets.
//!
//! One subscriber that was away can ask for a million events as fast as it reads, and would keep the processors from
//! everybody else's few. So pages of many events are built by a few at a time, each of which then rests for longer
//! than the page took: what is left of the processors is for events that happen now. On a busy machine pages take
//! longer, and so do the rests.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::Error;
use crate::notify::Range;

/// Events of a page from which on it takes a turn; those of fewer are likely to be in memory, or soon read.
const EVENTS_MIN: u64 = 65;
/// Processors for each that has a turn.
const PROCESSORS_EACH: usize = 2;
/// How much less than other threads one that builds a long page counts to the system, which lets all others
/// go first (`nice`).
#[cfg(target_os = "linux")]
const NICE: i32 = 15;
/// How long a rest is, as a multiple of what the page took.
const REST: u32 = 3;
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(1);

/// Whether these are so many events that they take a turn, and a thread of their own.
pub(crate) fn is_long(range: Range) -> bool {
    range.count() >= EVENTS_MIN
}

/// Does a piece of work for a long page on a thread that all others go before.
///
/// A thread for each, because a thread that once counts less cannot count more again; it costs a thousandth of
/// what such a page does.
pub(crate) async fn apart<T, F>(piece: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let work = move || {
        give_way();
        // Nobody may wait for it any more.
        drop(reply.send(piece()));
    };
    thread::Builder::new().name("catch-up".to_owned()).spawn(work).map_err(Error::internal)?;
    answer.await.map_err(Error::internal)?
}

/// Lets the other threads go first, where the system knows of priorities of threads.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

/// The turns there are.
pub(crate) struct CatchUp(Arc<Semaphore>);

impl Default for CatchUp {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((processors / PROCESSORS_EACH).max(1))))
    }
}

impl CatchUp {
    /// A turn to build a page of these events, to be held until it is built; none is needed for few of them, nor when
    /// the node stops.
    ///
    /// In the order in which they were asked for. Cancel safe: whoever asks again is behind all others.
    pub(crate) async fn turn(&self, range: Range) -> Option<Turn> {
        if !is_long(range) {
            return None;
        }
        let permit = self.0.clone().acquire_owned().await.ok()?;
        Some(Turn { permit: Some(permit), started: Instant::now() })
    }

    /// The node stops: nobody waits for a turn any more.
    pub(crate) fn end(&self) {
        self.0.close();
    }
}

/// A turn. Dropped, it is another's after the rest.
pub(crate) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    started: Instant,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let rest = self.started.elapsed().saturating_mul(REST).min(REST_MAX);
        // Without a runtime there is no time to pass.
        if let (Some(permit), Ok(runtime)) = (self.permit.take(), Handle::try_current()) {
            runtime.spawn(async move {
                tokio::time::sleep(rest).await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use cresset_model::EventNumber;
    use tokio::time::timeout;

    use super::*;

    fn page(events: u64) -> Range {
        Range { first: EventNumber::FIRST, last: EventNumber::new(events).unwrap() }
    }

    #[tokio::test]
    async fn who_built_a_long_page_rests_and_short_ones_need_no_turn() {
        let turns = CatchUp(Arc::new(Semaphore::new(1)));
        let mut held = turns.turn(page(EVENTS_MIN)).await.expect("a turn");
        assert!(turns.turn(page(EVENTS_MIN - 1)).await.is_none());
        // A page that has taken long.
        held.started =
            held.started.checked_sub(Duration::from_millis(20)).expect("a clock that runs");
        let built = Instant::now();
        drop(held);
        let next = timeout(REST_MAX * 10, turns.turn(page(1_000))).await;
        assert!(next.expect("rests end").is_some());
        assert!(built.elapsed() >= Duration::from_millis(60), "three times as long");
    }

    #[test]
    fn a_turn_comes_back_without_a_runtime() {
        let turns = CatchUp(Arc::new(Semaphore::new(1)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let held = runtime.block_on(turns.turn(page(100)));
        drop(held);
        assert_eq!(turns.0.available_permits(), 1);
        turns.end();
        assert!(runtime.block_on(turns.turn(page(100))).is_none(), "nobody waits at the end");
    }
}
