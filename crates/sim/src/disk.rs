//! The store, which outlives the node, and what goes wrong in and below it.
//!
//! [`Disk`] is what a machine keeps: a memory store, or files of the embedded store. A node gets a
//! [`Handle`] on it. A power failure cuts the node off in the middle of an append; of what that append
//! has written to the write-ahead log, and was not acknowledged, any part may be on the disk, or
//! rubbish in its place. What was acknowledged has to be there.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use cresset_model::{
    Base, Change, Event, EventNumber, Position, ResourceId, ResourceKey, ResourceType,
    SubscriptionKey, VersionId,
};
use cresset_store::{
    Appended, ChangeLog, Error, Forgotten, Group, IndexBatch, MemoryStore, Page, Query, Retention,
    Store, SubscriptionRecord, TokenRecord,
};
use cresset_store_embedded::EmbeddedStore;
use tempfile::TempDir;

use crate::facts::Committed;
use crate::prng::Prng;
use crate::scenario::StoreKind;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What becomes of the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The node dies before it is done.
    CrashBefore,
    /// The node dies when it is done, before it hears of it.
    CrashAfter,
    /// It fails, and nothing was done.
    Unavailable,
    /// It fails, and was done all the same.
    UnknownDone,
    /// It fails for a reason that tells nothing, and was not done.
    UnknownNotDone,
}

/// What is kept.
pub(crate) struct Disk {
    store: Arc<dyn Store>,
    files: Option<Files>,
    shared: Arc<Shared>,
}

struct Files {
    /// Holds all folders; the store of now is in the last of them.
    root: TempDir,
    tail_weight_max: usize,
    folder: PathBuf,
    opened: u32,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    blind: AtomicBool,
    wal: Mutex<Option<PathBuf>>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    /// The node is dead: it was cut off in an append.
    crashed: bool,
    /// Appended since somebody looked.
    committed: Vec<Committed>,
    appends: u64,
    /// What may or may not be on the disk after the power failure.
    torn: Option<Torn>,
}

struct Torn {
    committed: Vec<Committed>,
    /// The write-ahead log before the append.
    before: Vec<u8>,
}

impl Disk {
    /// An empty one; the embedded store keeps so much in memory before it writes it to its views.
    pub(crate) fn new(kind: StoreKind, tail_weight_max: usize) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        match kind {
            StoreKind::Memory => {
                Ok(Self { store: Arc::new(MemoryStore::new()), files: None, shared })
            }
            StoreKind::Embedded => {
                let root = tempfile::tempdir().context("a folder for the store")?;
                let folder = root.path().join("0");
                let files = Files { root, tail_weight_max, folder, opened: 0 };
                let store = files.open()?;
                *lock(&shared.wal) = Some(files.wal());
                Ok(Self { store, files: Some(files), shared })
            }
        }
    }

    /// The store as a node sees it.
    pub(crate) fn handle(&self) -> Arc<dyn Store> {
        Arc::new(Handle { store: self.store.clone(), shared: self.shared.clone() })
    }

    /// The store without faults.
    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// What becomes of the next append that has changes.
    pub(crate) fn fail_next(&self, fault: Fault) {
        lock(&self.shared.state).fault = Some(fault);
    }

    /// Whether nothing can be looked up: no search, and no patient.
    pub(crate) fn set_blind(&self, blind: bool) {
        self.shared.blind.store(blind, Ordering::Relaxed);
    }

    /// Forgets the faults that are planned.
    pub(crate) fn heal(&self) {
        lock(&self.shared.state).fault = None;
        self.set_blind(false);
    }

    /// Whether the node was cut off in an append.
    pub(crate) fn has_crashed(&self) -> bool {
        lock(&self.shared.state).crashed
    }

    /// What was appended since the last call.
    pub(crate) fn take_committed(&self) -> Vec<Committed> {
        std::mem::take(&mut lock(&self.shared.state).committed)
    }

    /// The power fails and comes back. The caller has dropped whatever holds a handle.
    ///
    /// Tells how what was being written came out, if anything was.
    pub(crate) fn power_failure(&mut self, draw: &mut Prng) -> Result<Option<&'static str>> {
        let torn = {
            let mut state = lock(&self.shared.state);
            state.crashed = false;
            state.fault = None;
            state.torn.take()
        };
        let Some(files) = &mut self.files else { return Ok(None) };
        let image = files.image(torn.as_ref(), draw)?;
        // Closing the store writes to its files, but not to the image.
        self.store = Arc::new(MemoryStore::new());
        fs::remove_dir_all(&files.folder).context("removing the files of before")?;
        files.folder = image;
        self.store = files.open()?;
        *lock(&self.shared.wal) = Some(files.wal());
        let Some(torn) = torn else { return Ok(None) };
        let head = self.store.head()?.map_or(0, Position::get);
        let [first, .., last] = &torn.committed[..] else {
            let Some(only) = torn.committed.first() else { return Ok(Some("of bookkeeping")) };
            return Ok(Some(self.settle(head, &torn, only.change.position, only.change.position)));
        };
        let (first, last) = (first.change.position, last.change.position);
        Ok(Some(self.settle(head, &torn, first, last)))
    }

    fn settle(&self, head: u64, torn: &Torn, first: Position, last: Position) -> &'static str {
        if head == last.get() {
            lock(&self.shared.state).committed.extend(torn.committed.iter().cloned());
            "whole"
        } else if head + 1 == first.get() {
            "gone"
        } else {
            "in part"
        }
    }
}

impl Files {
    fn open(&self) -> Result<Arc<dyn Store>> {
        let store = EmbeddedStore::open_with_tail(&self.folder, self.tail_weight_max)
            .context("opening the store")?;
        Ok(Arc::new(store))
    }

    fn wal(&self) -> PathBuf {
        self.folder.join("log.db-wal")
    }

    /// A copy of the files as the power failure leaves them.
    ///
    /// The checkpointer may be writing to `log.db` meanwhile: what it writes is in the write-ahead
    /// log, which only appends change.
    fn image(&mut self, torn: Option<&Torn>, draw: &mut Prng) -> Result<PathBuf> {
        self.opened += 1;
        let image = self.root.path().join(self.opened.to_string());
        fs::create_dir(&image)?;
        for name in ["log.db-wal", "log.db", "index.db", "index.db-wal"] {
            let from = self.folder.join(name);
            if from.exists() {
                fs::copy(&from, image.join(name)).with_context(|| format!("copying {name}"))?;
            }
        }
        let wal = image.join("log.db-wal");
        if let Some(torn) = torn {
            let after = fs::read(&wal).context("reading the write-ahead log")?;
            fs::write(&wal, tear(&torn.before, &after, draw))?;
        }
        // Steps of the index are not flushed: the last ones may be missing.
        let index = image.join("index.db-wal");
        if index.exists() && draw.chance(500) {
            let length = fs::metadata(&index)?.len();
            fs::File::options().write(true).open(&index)?.set_len(draw.between(0, length))?;
        }
        Ok(image)
    }
}

/// A file that was being changed from one content to the other when the power failed.
fn tear(before: &[u8], after: &[u8], draw: &mut Prng) -> Vec<u8> {
    let differs = |index: usize| {
        let range = index * SECTOR..;
        let sector = |bytes: &'_ [u8]| -> Vec<u8> {
            bytes.get(range.clone()).unwrap_or_default().iter().take(SECTOR).copied().collect()
        };
        sector(before) != sector(after)
    };
    let sectors = after.len().max(before.len()).div_ceil(SECTOR);
    let changed: Vec<usize> = (0..sectors).filter(|index| differs(*index)).collect();
    let mut torn = after.to_vec();
    let Some(first) = changed.first() else { return torn };
    match draw.below(4) {
        // It ends somewhere in what was written last.
        0 => {
            let cut = draw.between(0, u64::try_from(changed.len() * SECTOR).unwrap_or(0));
            let cut = first * SECTOR + usize::try_from(cut).unwrap_or(0);
            if before.len() <= first * SECTOR {
                torn.truncate(cut);
            } else {
                restore(&mut torn, before, cut);
            }
        }
        // Some sectors are written, others are not.
        1 => {
            for index in changed {
                if draw.chance(500) {
                    put_back(&mut torn, before, index * SECTOR, (index + 1) * SECTOR);
                }
            }
        }
        // One holds rubbish, but for what was flushed before: an overwrite is safe, which SQLite asks of disks.
        2 => {
            let index = changed[draw.index(changed.len())];
            let same =
                before.iter().zip(after).take_while(|(before, after)| before == after).count();
            let end = ((index + 1) * SECTOR).min(torn.len());
            for byte in &mut torn[(index * SECTOR).max(same).min(end)..end] {
                *byte = u8::try_from(draw.below(256)).expect("a byte");
            }
        }
        // All of it is there.
        _ => {}
    }
    torn
}

/// From `cut` on, as it was before.
fn restore(torn: &mut Vec<u8>, before: &[u8], cut: usize) {
    let end = cut.max(before.len()).min(torn.len());
    torn.truncate(end);
    put_back(torn, before, cut, end);
}

/// What stands between two places, as it was before.
fn put_back(torn: &mut [u8], before: &[u8], from: usize, to: usize) {
    for (at, byte) in torn.iter_mut().enumerate().take(to).skip(from) {
        *byte = before.get(at).copied().unwrap_or(0);
    }
}

/// A node's way to the disk.
struct Handle {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn planted() -> Box<std::io::Error> {
    Box::new(std::io::Error::other("planted"))
}

fn read_file(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(path)
        && file.seek(SeekFrom::Start(0)).is_ok()
    {
        // What cannot be read is not there: the log was just begun.
        drop(file.read_to_end(&mut bytes));
    }
    bytes
}

impl Handle {
    fn look_up(&self, concerned: bool) -> Result<(), Error> {
        if concerned && self.shared.blind.load(Ordering::Relaxed) {
            return Err(Error::Unavailable { source: planted() });
        }
        Ok(())
    }

    /// Appends, and writes down what was appended with its events.
    fn append_noted(&self, group: &Group, told: bool) -> Result<(Appended, Vec<Committed>), Error> {
        let blind = self.shared.blind.load(Ordering::Relaxed);
        let appended = self.store.append(group)?;
        let append = {
            let mut state = lock(&self.shared.state);
            state.appends += 1;
            state.appends
        };
        let mut events = appended.events.iter().copied().peekable();
        let mut committed = Vec::with_capacity(group.entries.len());
        for entry in &group.entries {
            let change = entry.change.clone();
            let mut own: Vec<Event> = Vec::new();
            while let Some(event) = events.next_if(|event| event.position == change.position) {
                own.push(event);
            }
            committed.push(Committed { change, events: own, append, told, blind });
        }
        Ok((appended, committed))
    }
}

impl ChangeLog for Handle {
    fn head(&self) -> Result<Option<Position>, Error> {
        self.store.head()
    }

    fn append(&self, group: &Group) -> Result<Appended, Error> {
        let fault = {
            let mut state = lock(&self.shared.state);
            if state.crashed {
                return Err(Error::Unknown { source: planted() });
            }
            state.fault.take()
        };
        match fault {
            Some(Fault::Unavailable) => return Err(Error::Unavailable { source: planted() }),
            Some(Fault::UnknownNotDone) => return Err(Error::Unknown { source: planted() }),
            Some(Fault::CrashBefore) => {
                lock(&self.shared.state).crashed = true;
                return Err(Error::Unknown { source: planted() });
            }
            Some(Fault::CrashAfter | Fault::UnknownDone) | None => {}
        }
        let crashes = fault == Some(Fault::CrashAfter);
        let wal = if crashes { lock(&self.shared.wal).clone() } else { None };
        let before = wal.as_deref().map(read_file);
        let (appended, committed) = self.append_noted(group, fault.is_none())?;
        let mut state = lock(&self.shared.state);
        if crashes {
            state.crashed = true;
            match before {
                Some(before) => state.torn = Some(Torn { committed, before }),
                None => state.committed.extend(committed),
            }
            return Err(Error::Unknown { source: planted() });
        }
        state.committed.extend(committed);
        match fault {
            Some(_) => Err(Error::Unknown { source: planted() }),
            None => Ok(appended),
        }
    }

    fn changes(&self, after: Option<Position>, limit: usize) -> Result<Vec<Change>, Error> {
        self.store.changes(after, limit)
    }

    fn change(&self, position: Position) -> Result<Option<Change>, Error> {
        self.store.change(position)
    }
}

impl Store for Handle {
    fn current(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Change>>, Error> {
        self.look_up(keys.iter().any(|key| key.resource_type.as_str() == "Patient"))?;
        self.store.current(keys)
    }

    fn version(&self, key: &ResourceKey, version: VersionId) -> Result<Option<Change>, Error> {
        self.store.version(key, version)
    }

    fn history(
        &self,
        key: &ResourceKey,
        before: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        self.store.history(key, before, limit)
    }

    fn resources(
        &self,
        base: Base,
        resource_type: &ResourceType,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        self.store.resources(base, resource_type, after, limit)
    }

    fn subscriptions(
        &self,
        after: Option<SubscriptionKey>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRecord>, Error> {
        self.store.subscriptions(after, limit)
    }

    fn subscription(&self, key: SubscriptionKey) -> Result<Option<SubscriptionRecord>, Error> {
        self.store.subscription(key)
    }

    fn events(
        &self,
        subscription: SubscriptionKey,
        from: EventNumber,
        to: EventNumber,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        self.store.events(subscription, from, to, limit)
    }

    fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Error> {
        self.store.token(hash)
    }

    fn forget(&self, retention: &Retention, limit: usize) -> Result<Forgotten, Error> {
        self.store.forget(retention, limit)
    }

    fn index_position(&self) -> Result<Option<Position>, Error> {
        self.store.index_position()
    }

    fn index(&self, batch: &IndexBatch) -> Result<(), Error> {
        self.store.index(batch)
    }

    fn prepare_index(&self, scheme: u64) -> Result<(), Error> {
        self.store.prepare_index(scheme)
    }

    fn flush_index(&self) -> Result<(), Error> {
        self.store.flush_index()
    }

    fn search(&self, query: &Query) -> Result<Page, Error> {
        self.look_up(true)?;
        self.store.search(query)
    }
}
