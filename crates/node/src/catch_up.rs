//! Turns for those who catch up: long stretches of old events, for `$events` and for sockets.
//!
//! One subscriber that was away can ask for a million events as fast as it reads, and would keep the processors from
//! everybody else's few. So pages of many events are built by a few at a time, each of which then rests for longer
//! than the page took: what is left of the processors is for events that happen now. On a busy machine pages take
//! longer, and so do the rests.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::notify::Range;

/// Events of a page from which on it takes a turn; those of fewer are likely to be in memory, or soon read.
const EVENTS_MIN: u64 = 65;
/// Processors for each that has a turn.
const PROCESSORS_EACH: usize = 2;
/// How long a rest is, as a multiple of what the page took.
const REST: u32 = 3;
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(1);

/// Whether these are so many events that they take a turn, and a thread of their own.
pub(crate) fn is_long(range: Range) -> bool {
    range.count() >= EVENTS_MIN
}

/// Lets the other threads go first, where the system can.
///
/// Not by a lower priority: a thread that runs may end its slice before one of a higher priority that woke,
/// and others would wait for milliseconds at every step of an event's way. One that is idle never may.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
        if let Err(error) = set {
            tracing::warn!(%error, "who was away for long is not served behind the others");
        }
    }
}

/// The turns there are, and the threads for long pages.
pub(crate) struct CatchUp {
    turns: Arc<Semaphore>,
    /// One for each thread, held until its work has ended, also where nobody waits for that any more.
    places: Arc<Semaphore>,
    /// Always there until it is dropped. A runtime for its threads that may block, and starts them as needed.
    threads: Option<Runtime>,
}

impl Default for CatchUp {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::new((processors / PROCESSORS_EACH).max(1), processors)
    }
}

impl CatchUp {
    fn new(turns: usize, places: usize) -> Self {
        let threads = runtime::Builder::new_current_thread()
            .max_blocking_threads(places)
            .thread_name("catch-up")
            .on_thread_start(give_way)
            .build();
        let [turns, places] = [turns, places].map(|count| Arc::new(Semaphore::new(count)));
        Self { turns, places, threads: threads.ok() }
    }

    /// Does a piece of work for a long page on a thread that all others go before.
    pub(crate) async fn apart<T, F>(&self, piece: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Error> + Send + 'static,
    {
        let threads = self.threads.as_ref();
        let threads = threads.ok_or_else(|| Error::internal("no threads for long pages"))?;
        let place = self.places.clone().acquire_owned().await.map_err(Error::internal)?;
        let piece = move || {
            let _place = place;
            piece()
        };
        threads.spawn_blocking(piece).await.map_err(Error::internal)?
    }

    /// A turn to build a page of these events, to be held until it is built; none is needed for few of them, nor when
    /// the node stops.
    ///
    /// In the order in which they were asked for. Cancel safe: whoever asks again is behind all others.
    pub(crate) async fn turn(&self, range: Range) -> Option<Turn> {
        if !is_long(range) {
            return None;
        }
        let permit = self.turns.clone().acquire_owned().await.ok()?;
        Some(Turn { permit: Some(permit), started: Instant::now() })
    }

    /// The node stops: nobody waits for a turn any more.
    pub(crate) fn end(&self) {
        self.turns.close();
    }
}

impl Drop for CatchUp {
    fn drop(&mut self) {
        // Not waited for: who drops it may be on a thread that must not block.
        self.threads.take().into_iter().for_each(Runtime::shutdown_background);
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
        let turns = CatchUp::new(1, 1);
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
        let turns = CatchUp::new(1, 1);
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let held = runtime.block_on(turns.turn(page(100)));
        drop(held);
        assert_eq!(turns.turns.available_permits(), 1);
        turns.end();
        assert!(runtime.block_on(turns.turn(page(100))).is_none(), "nobody waits at the end");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn long_pages_are_built_where_nobody_else_wants_to_run() {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};
        let policy = || thread_priority::thread_schedule_policy().map_err(Error::internal);
        let apart = CatchUp::new(1, 1).apart(policy).await.unwrap();
        assert_eq!(apart, ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle));
        assert_ne!(apart, policy().unwrap());
    }
}
