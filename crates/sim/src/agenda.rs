//! What is to happen, in the order of time and, within a millisecond, of planning.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// One thing to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A notification reaches its receiver.
    Arrive(u64),
    /// A client does something.
    Client,
    /// The node dies.
    Crash,
    /// The node has its cursors written.
    Cursors,
    /// The delivery loop takes a turn.
    Deliver,
    /// The node forgets what retention does not keep.
    Forget,
    /// The indexer takes a step.
    Index,
    /// The node's clock jumps.
    Jump,
    /// The node hears what came of an attempt.
    Outcome(u64),
    /// The recovery loop takes a turn.
    Recover,
    /// A node starts.
    Restart,
    /// A websocket client takes a turn.
    Socket(usize),
    /// Receivers, hints or the store go well or badly from now on.
    Trouble,
    /// The writer commits what waits.
    Write,
}

/// The agenda. Times are milliseconds of the world.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u64, Step)>>,
    planned: u64,
    /// What must not be planned twice for the same time.
    once: BTreeSet<(u64, Step)>,
}

impl Agenda {
    pub(crate) fn plan(&mut self, at: u64, step: Step) {
        self.planned += 1;
        self.heap.push(Reverse((at, self.planned, step)));
    }

    /// As [`Self::plan`], unless the same is planned for this time.
    pub(crate) fn plan_once(&mut self, at: u64, step: Step) {
        if self.once.insert((at, step)) {
            self.plan(at, step);
        }
    }

    pub(crate) fn next(&mut self) -> Option<(u64, Step)> {
        let Reverse((at, _, step)) = self.heap.pop()?;
        self.once.remove(&(at, step));
        Some((at, step))
    }

    /// Forgets what satisfies this.
    pub(crate) fn cancel(&mut self, is_off: impl Fn(&Step) -> bool) {
        self.heap.retain(|Reverse((_, _, step))| !is_off(step));
        self.once.retain(|(_, step)| !is_off(step));
    }
}
