//! A node that moves only when it is told to: what the simulation drives.
//!
//! It is made of the same parts as [`Node`], without a runtime, without threads and with a clock that
//! only its owner moves: the writer commits when [`SteppedNode::write`] is called, the delivery loop
//! takes a turn with [`SteppedNode::deliver`], and what is sent comes out as a value. Use cases are
//! those of [`Node`]; their futures never wait for anything but the steps here, so whoever polls them
//! after each step needs no executor.
//!
//! To drop it is to crash: what is not in the store is lost. Needs the feature `stepped`, which nothing
//! of the product turns on.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cresset_channel as channel;
use cresset_model::{ResourceId, SubscriptionKey};
use cresset_store::{self as store, Store};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::config::Config;
use crate::deliver::{DeliveryLoop, Letter, Unsent};
use crate::indexer;
use crate::intent::Job;
use crate::node::Node;
use crate::recovery;
use crate::shared::{Brokers, Shared};
use crate::socket::{Socket, SocketOutput};
use crate::upkeep;
use crate::writer::{Writer, WriterHandle};

/// See the module.
pub struct SteppedNode {
    node: Arc<Node>,
    writer: Writer,
    jobs: mpsc::Receiver<Job>,
    delivery: DeliveryLoop,
    letters: FxHashMap<u64, Letter>,
    recovery_room: u32,
}

/// An attempt on its way to an endpoint. [`SteppedNode::attempt_ended`] tells what came of it.
#[derive(Debug)]
pub struct Sending {
    /// Names it among those of this node.
    pub run: u64,
    /// Whose it is.
    pub subscription: SubscriptionKey,
    /// The id of that subscription.
    pub id: ResourceId,
    /// What is sent.
    pub request: channel::Request,
}

impl SteppedNode {
    /// A node on a store; `jitter` draws for its machines, uniform over all `u32`, of which it keeps no more than
    /// `machines_kept` at rest.
    ///
    /// # Errors
    /// Whatever the store answers while the state is read from it.
    pub fn open(
        config: Config,
        store: Arc<dyn Store>,
        clock: Clock,
        jitter: impl FnMut() -> u32 + Send + 'static,
        machines_kept: usize,
    ) -> Result<Self, store::Error> {
        let mut shared = Shared::new(config, Brokers::default(), store, clock);
        shared.reads_in_place = true;
        let shared = Arc::new(shared);
        let (handle, jobs) = WriterHandle::new(shared.config.limits.write_queue_max);
        shared.store.prepare_index(indexer::scheme(&shared))?;
        let writer = Writer::new(shared.clone())?;
        let delivery = DeliveryLoop::new(shared.clone(), Box::new(jitter)).keeping(machines_kept);
        let node = Arc::new(Node { shared, writer: handle });
        let letters = FxHashMap::default();
        Ok(Self { node, writer, jobs, delivery, letters, recovery_room: 0 })
    }

    /// The use cases.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Commits what waits for the writer as one group; whether there was anything.
    pub fn write(&mut self) -> bool {
        self.writer.step(&mut self.jobs)
    }

    /// Whether something waits for the writer.
    pub fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// One turn of the delivery loop: takes hints and deadlines, hands changes of status to the writer
    /// as far as it has room, and gives what is to be sent now.
    pub fn deliver(&mut self) -> Vec<Sending> {
        self.delivery.take_hints();
        self.delivery.enqueue_deadlines();
        self.delivery.start();
        let mut sendings = Vec::new();
        while let Some(start) = self.delivery.take_start() {
            let (run, live) = (start.run, start.live.clone());
            let shared = self.node.shared.clone();
            let mut letter = Letter::new(&shared, start);
            match now_or_never(letter.request(&shared)) {
                Some(Ok(request)) => {
                    self.letters.insert(run, letter);
                    let id = live.id.clone();
                    sendings.push(Sending { run, subscription: live.key, id, request });
                }
                Some(Err(unsent)) => self.ended(run, letter, Err(unsent)),
                // It waits for the index, which nobody moves meanwhile.
                None => self.ended(run, letter, Err(Unsent::NoRoom)),
            }
        }
        while let Ok(permit) = self.node.writer.try_reserve()
            && let Some(change) = self.delivery.take_status()
        {
            permit.send(Job::Status(change));
        }
        sendings
    }

    /// Tells what came of an attempt. One that is not known, because another node made it, is
    /// nobody's.
    pub fn attempt_ended(&mut self, run: u64, outcome: channel::Outcome) {
        if let Some(letter) = self.letters.remove(&run) {
            self.ended(run, letter, Ok(outcome));
        }
    }

    /// The task of an attempt dies without a word.
    pub fn attempt_lost(&mut self, run: u64) {
        if self.letters.remove(&run).is_some() {
            self.delivery.attempt_ended(run, None);
        }
    }

    fn ended(&mut self, run: u64, letter: Letter, outcome: Result<channel::Outcome, Unsent>) {
        let sent = letter.ended(&self.node.shared, outcome);
        self.delivery.attempt_ended(run, Some(sent));
    }

    /// How long the delivery loop has nothing to do of itself.
    pub fn until_next_deadline(&self) -> Duration {
        self.delivery.until_next_deadline()
    }

    /// Loses the hints that nobody has taken yet.
    pub fn lose_hints(&self) {
        drop(self.node.shared.delivery.take());
    }

    /// Hints at every subscription there is, for no reason.
    pub fn hint_at_all(&self) {
        let shared = &self.node.shared;
        shared.live.all().iter().for_each(|live| shared.hint_all(live));
    }

    /// Has the cursors written that wait; done when the writer has.
    pub fn write_cursors(&self) -> impl Future<Output = ()> + use<> {
        let node = self.node.clone();
        async move { upkeep::write_cursors(&node.shared, &node.writer).await }
    }

    /// Forgets what retention does not keep.
    pub fn forget(&self) {
        if let Some(Err(error)) = now_or_never(upkeep::forget(&self.node.shared)) {
            tracing::error!(%error, "old events cannot be forgotten");
        }
    }

    /// Folds a batch of changes into the search index.
    pub fn index(&self) {
        indexer::contained(|| indexer::step(&self.node.shared));
    }

    /// One period of the recovery loop.
    pub fn recover(&mut self) {
        self.recovery_room = recovery::tick(&self.node.shared, self.recovery_room);
    }
}

impl Socket {
    /// What there is to write or to close for, without waiting. See [`Self::next`].
    pub fn next_now(&mut self) -> Option<SocketOutput> {
        now_or_never(self.look()).flatten()
    }

    /// Takes a text frame of the client. See [`Self::receive`].
    pub fn receive_now(&mut self, text: &str) {
        now_or_never(self.receive(text));
    }

    /// Whether a hint waits for it.
    pub fn is_hinted(&self) -> bool {
        !self.hints().is_empty()
    }

    /// Loses the hints that it has not taken yet.
    pub fn lose_hints(&self) {
        drop(self.hints().take());
    }
}

/// What a future gives that has nothing to wait for.
fn now_or_never<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
