//! The node: every use case of the server, and the loops behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cresset_channel::RestHook;
use cresset_store::{self as store, Store};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::audit::Clerk;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::config::Config;
use crate::deliver::{DeliveryLoop, jitter};
use crate::error::Error;
use crate::indexer;
use crate::intent::Job;
use crate::recovery;
use crate::shared::{Brokers, Shared};
use crate::socket::Socket;
use crate::upkeep;
use crate::writer::{Writer, WriterHandle};

/// A running node. Cheap to share behind an `Arc`.
pub struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: WriterHandle,
}

/// What ends a node.
pub struct Stopper {
    stop: watch::Sender<bool>,
    loops: JoinSet<()>,
    indexer: thread::JoinHandle<()>,
    writer: thread::JoinHandle<()>,
    audit: Option<thread::JoinHandle<()>>,
    /// Nothing comes for the audit trail any more.
    ended: Arc<AtomicBool>,
}

impl Node {
    /// Opens a node on a store and starts its loops. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Whatever the store answers while the state is read from it.
    pub fn start(
        config: Config,
        store: Arc<dyn Store>,
        rest_hook: RestHook,
        brokers: Brokers,
        clock: Clock,
    ) -> Result<(Arc<Self>, Stopper), store::Error> {
        let shared = Arc::new(Shared::new(config, brokers, store, clock));
        let (handle, jobs) = WriterHandle::new(shared.config.limits.write_queue_max);
        shared.store.prepare_index(indexer::scheme(&shared))?;
        let writer = Writer::new(shared.clone())?;
        let writer = start_thread("writer", move || writer.run(jobs))?;
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let delivery = DeliveryLoop::new(shared.clone(), Box::new(jitter));
        let delivery = delivery.run(handle.clone(), Arc::new(rest_hook));
        loops.spawn(watched("delivery", shared.clone(), delivery));
        let runtime = Handle::current();
        let indexing = indexer::run(shared.clone(), stopped.clone());
        let indexing = watched("indexer", shared.clone(), indexing);
        let indexer = start_thread("indexer", move || runtime.block_on(indexing))?;
        let recovery = recovery::run(shared.clone(), stopped.clone());
        loops.spawn(watched("recovery", shared.clone(), recovery));
        let upkeep = upkeep::run(shared.clone(), handle.clone(), stopped);
        loops.spawn(watched("upkeep", shared.clone(), upkeep));
        let ended = Arc::new(AtomicBool::new(false));
        let audit = Clerk::of(&shared).map(|clerk| {
            let ended = ended.clone();
            start_thread("audit", move || clerk.run(|| ended.load(Ordering::Acquire)))
        });
        let audit = audit.transpose()?;
        let node = Arc::new(Self { shared, writer: handle });
        Ok((node, Stopper { stop, loops, indexer, writer, audit, ended }))
    }

    /// The caller who sent this `Authorization` header.
    ///
    /// # Errors
    /// `Unauthenticated` if a token is needed and missing or not known.
    pub fn authenticate(&self, authorization: Option<&str>) -> Result<Caller, Error> {
        self.shared.config.authentication.caller(authorization)
    }

    /// Opens a websocket.
    ///
    /// # Errors
    /// `Throttled` when there are too many.
    pub fn open_socket(&self) -> Result<Socket, Error> {
        Socket::open(self.shared.clone())
    }

    /// Closes the sockets, and has no attempt begin any more; the first step of an orderly end.
    /// Attempts under way may end until `grace_end`; what is cut off then counts as not sent.
    pub fn begin_stop(&self, grace_end: Instant) {
        self.shared.grace_end.get_or_init(|| grace_end);
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.catch_up.end();
        self.shared.hub.call_all();
        self.shared.delivery.call();
    }

    /// Whether the node takes writes, and everything runs that follows from them.
    pub fn is_ready(&self) -> bool {
        !self.shared.stopped.load(Ordering::Acquire) && !self.shared.is_stopping()
    }

    /// The URL of the server, without version and without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.shared.config.base_url
    }

    /// The URL of a version's base, such as `http://127.0.0.1:8080/r4`.
    pub fn base_url_of(&self, version: cresset_definitions::FhirVersion) -> String {
        self.shared.base_url(version)
    }
}

impl Stopper {
    /// Ends the loops, waits for attempts in flight, writes what is queued, closes the store.
    ///
    /// The caller has stopped taking requests; those that still come are refused. Sockets and
    /// attempts were told to end by [`Node::begin_stop`].
    pub async fn stop(mut self, node: Arc<Node>) {
        self.stop.send_replace(true);
        while self.loops.join_next().await.is_some() {}
        // The last attempts have ended with the loops.
        upkeep::write_cursors(&node.shared, &node.writer).await;
        if node.writer.send(Job::Stop).await.is_err() {
            tracing::error!("the writer had ended before it was told to");
        }
        join("indexer", self.indexer).await;
        join("writer", self.writer).await;
        // The others may have had something to be kept until now.
        self.ended.store(true, Ordering::Release);
        if let Some(audit) = self.audit {
            join("audit", audit).await;
        }
    }
}

/// Says that a loop has ended though the node goes on, also when it ended by a panic.
struct EndedOnDrop {
    name: &'static str,
    shared: Arc<Shared>,
}

impl Drop for EndedOnDrop {
    fn drop(&mut self) {
        if !self.shared.is_stopping() {
            tracing::error!(task = self.name, "a loop has ended; the node is not ready any more");
            self.shared.stopped.store(true, Ordering::Release);
        }
    }
}

/// A loop that is missed if it ends before the node stops.
fn watched(
    name: &'static str,
    shared: Arc<Shared>,
    work: impl Future<Output = ()>,
) -> impl Future<Output = ()> {
    // Made here: a loop that is cut off before its first step has ended, too.
    let ended = EndedOnDrop { name, shared };
    async move {
        let _ended = ended;
        work.await;
    }
}

async fn join(name: &str, thread: thread::JoinHandle<()>) {
    let ended = tokio::task::spawn_blocking(move || thread.join()).await;
    if !matches!(ended, Ok(Ok(()))) {
        tracing::error!(thread = name, "a thread did not end well");
    }
}

fn start_thread(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, store::Error> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(body).map_err(|source| store::Error::Unavailable { source: Box::new(source) })
}

#[cfg(test)]
mod tests;
