//! Room for the bytes of notifications under way, of whole resources above all.
//!
//! A notification takes room before it is built, as if it were as large as one may be, and gives back what it does
//! not need. So what is being built is bounded as well, and whoever waits for room holds no bytes meanwhile.
//!
//! No host takes more while it has as much as is free. A host alone is not bounded by that, and a few that hang would
//! take all: so hosts that something speaks against, or nothing for, have half of the room together, as they have half
//! of the places (`deliver/hosts.rs`), and what hangs at them keeps nothing of the others waiting (I6). What one
//! notification turns out to need beyond what it took first counts, and is not refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::hosts::HostName;

/// How long one notification waits for room before it is put off.
const ROOM_TIME_MAX: Duration = Duration::from_secs(5);
/// What room is counted in.
const UNIT_BYTES: usize = 1024;
/// What a notification takes before it is built at most: so many are built at the same time where
/// there is little room, whatever their size.
const BUILT_MIN: u32 = 4;

/// There was no room in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

/// All room there is.
pub(super) struct Room {
    units: u32,
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
    given_back: Notify,
}

/// Whose notification takes room.
#[derive(Debug, Clone)]
pub(super) struct Taker {
    pub(super) host: HostName,
    /// Something speaks against the host, or nothing for it.
    pub(super) suspect: bool,
}

/// What is taken, or waited for by those whose turn it is.
#[derive(Default)]
struct Taken {
    units: u32,
    by_host: FxHashMap<HostName, u32>,
    /// What suspects have of it.
    suspects: u32,
}

/// Room that one notification has; given back when it is dropped.
pub(super) struct Held {
    room: Arc<Room>,
    taker: Taker,
    units: u32,
    permit: Option<OwnedSemaphorePermit>,
    /// When it is too late to wait for more.
    until: Instant,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        let units = units_of(bytes).min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        let permits = usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            units,
            free: Arc::new(Semaphore::new(permits)),
            taken: Mutex::default(),
            given_back: Notify::new(),
        })
    }

    /// Takes room for a notification that is not built yet and may have so many bytes.
    ///
    /// Cancel safe: what was taken is given back.
    pub(super) async fn take(
        self: &Arc<Self>,
        taker: Taker,
        bytes_max: usize,
    ) -> Result<Held, NoRoom> {
        self.take_by(taker, bytes_max, Instant::now() + ROOM_TIME_MAX).await
    }

    /// The same, until then at most.
    async fn take_by(
        self: &Arc<Self>,
        taker: Taker,
        bytes_max: usize,
        until: Instant,
    ) -> Result<Held, NoRoom> {
        let units = units_of(bytes_max).min((self.units / BUILT_MIN).max(1));
        let mut held = self.turn(taker, units, until).await?;
        held.permit = Some(self.acquire(units, until).await?);
        Ok(held)
    }

    /// Waits until this one may have more.
    async fn turn(
        self: &Arc<Self>,
        taker: Taker,
        units: u32,
        until: Instant,
    ) -> Result<Held, NoRoom> {
        loop {
            let given_back = self.given_back.notified();
            if self.taken().take(&taker, units, self.units) {
                return Ok(Held { room: self.clone(), taker, units, permit: None, until });
            }
            timeout_at(until, given_back).await.map_err(|_| NoRoom)?;
        }
    }

    async fn acquire(&self, units: u32, until: Instant) -> Result<OwnedSemaphorePermit, NoRoom> {
        let free = timeout_at(until, self.free.clone().acquire_many_owned(units)).await;
        // Nobody closes it.
        free.map_err(|_| NoRoom)?.map_err(|_: AcquireError| NoRoom)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn take(&mut self, taker: &Taker, units: u32, all: u32) -> bool {
        let own = self.by_host.get(&taker.host).copied().unwrap_or(0);
        let has_its_share = own > 0 && own >= all.saturating_sub(self.units);
        let suspects = self.suspects.saturating_add(units);
        // One of them may whatever it takes, or it never could.
        let have_their_share = taker.suspect && self.suspects > 0 && suspects > all / 2;
        let may = !has_its_share && !have_their_share;
        if may {
            self.add(taker, units);
        }
        may
    }

    fn add(&mut self, taker: &Taker, units: u32) {
        self.units = self.units.saturating_add(units);
        let own = self.by_host.entry(taker.host.clone()).or_default();
        *own = own.saturating_add(units);
        if taker.suspect {
            self.suspects = self.suspects.saturating_add(units);
        }
    }

    fn give_back(&mut self, taker: &Taker, units: u32) {
        self.units = self.units.saturating_sub(units);
        if taker.suspect {
            self.suspects = self.suspects.saturating_sub(units);
        }
        if let Some(own) = self.by_host.get_mut(&taker.host) {
            *own = own.saturating_sub(units);
            if *own == 0 {
                self.by_host.remove(&taker.host);
            }
        }
    }
}

impl Held {
    /// Gives back what a notification that is built now does not need; waits for what it needs beyond.
    ///
    /// One larger than all room takes all of it.
    pub(super) async fn fit(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let units = units_of(bytes).min(self.room.units);
        if units > self.units {
            let more = units - self.units;
            self.room.taken().add(&self.taker, more);
            self.units = units;
            let more = self.room.acquire(more, self.until).await?;
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                permit @ None => *permit = Some(more),
            }
        } else {
            let less = usize::try_from(self.units - units).unwrap_or(0);
            drop(self.permit.as_mut().and_then(|permit| permit.split(less)));
            self.room.taken().give_back(&self.taker, self.units - units);
            self.units = units;
            self.room.given_back.notify_waiters();
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.permit = None;
        self.room.taken().give_back(&self.taker, self.units);
        self.room.given_back.notify_waiters();
    }
}

fn units_of(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well(name: &str) -> Taker {
        Taker { host: name.into(), suspect: false }
    }

    fn suspect(name: &str) -> Taker {
        Taker { host: name.into(), suspect: true }
    }

    /// Takes room for what is not built yet, without waiting.
    async fn take_now(room: &Arc<Room>, taker: Taker, bytes_max: usize) -> Result<Held, NoRoom> {
        room.take_by(taker, bytes_max, Instant::now()).await
    }

    /// Takes room and fits it to so many bytes.
    async fn take(room: &Arc<Room>, name: &str, bytes: usize) -> Result<Held, NoRoom> {
        let mut held = take_now(room, well(name), bytes).await?;
        held.fit(bytes).await?;
        Ok(held)
    }

    #[tokio::test]
    async fn a_host_that_holds_half_of_the_room_waits_and_others_do_not() {
        let room = Room::new(64 * UNIT_BYTES);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(take(&room, "hangs", 8 * UNIT_BYTES).await.unwrap());
        }
        assert_eq!(take(&room, "hangs", 8 * UNIT_BYTES).await.err(), Some(NoRoom));
        let well = take(&room, "well", 8 * UNIT_BYTES).await.unwrap();
        drop((held, well));
        assert!(room.taken().by_host.is_empty());
        assert_eq!((room.taken().units, room.free.available_permits()), (0, 64));
    }

    #[tokio::test]
    async fn what_is_given_back_goes_to_who_waits() {
        let room = Room::new(64 * UNIT_BYTES);
        let held = take(&room, "a", 32 * UNIT_BYTES).await.unwrap();
        let waits = tokio::spawn({
            let room = room.clone();
            async move { room.take(well("a"), UNIT_BYTES).await.map(|held| held.units) }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(held);
        assert_eq!(waits.await.unwrap(), Ok(1));
    }

    #[tokio::test]
    async fn a_small_notification_keeps_no_more_than_it_needs_and_a_large_one_gets_it() {
        let room = Room::new(64 * UNIT_BYTES);
        let mut held = room.take(well("a"), usize::MAX).await.unwrap();
        assert_eq!(held.units, 16, "before it is built");
        held.fit(1).await.unwrap();
        assert_eq!((held.units, room.free.available_permits()), (1, 63));
        drop(held);
        let held = take(&room, "a", usize::MAX).await.unwrap();
        assert_eq!((held.units, room.free.available_permits()), (64, 0), "all there is");
        assert_eq!(take(&room, "b", 1).await.err(), Some(NoRoom));
        drop(held);
        assert_eq!(room.free.available_permits(), 64);
    }

    #[tokio::test]
    async fn hosts_in_trouble_together_leave_half_of_the_room_to_the_others() {
        let room = Room::new(64 * UNIT_BYTES);
        let mut held = Vec::new();
        for name in ["a", "b", "c", "d"] {
            held.extend(take_now(&room, suspect(name), usize::MAX).await.ok());
        }
        assert_eq!((held.len(), room.taken().suspects), (2, 32));
        assert!(take_now(&room, well("well"), 1).await.is_ok());
        assert!(take_now(&room, well("well"), usize::MAX).await.is_ok());
        assert_eq!(take_now(&room, suspect("c"), 1).await.err(), Some(NoRoom));
        let waits = tokio::spawn({
            let room = room.clone();
            async move { room.take(suspect("c"), usize::MAX).await.map(|held| held.units) }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(held.pop());
        assert_eq!(waits.await.unwrap(), Ok(16));
        drop(held);
        assert_eq!(room.taken().suspects, 0);
        assert_eq!(room.free.available_permits(), 64);
    }

    #[tokio::test]
    async fn a_notification_to_a_host_in_trouble_may_be_as_large_as_any_while_it_is_the_only_one() {
        let room = Room::new(UNIT_BYTES);
        drop(take_now(&room, suspect("a"), usize::MAX).await.unwrap());
        let room = Room::new(64 * UNIT_BYTES);
        let mut held = take_now(&room, suspect("a"), usize::MAX).await.unwrap();
        held.fit(usize::MAX).await.unwrap();
        assert_eq!((held.units, room.taken().suspects), (64, 64));
        held.fit(40 * UNIT_BYTES).await.unwrap();
        assert_eq!(take_now(&room, suspect("b"), 1).await.err(), Some(NoRoom), "more than half");
        assert!(take_now(&room, well("well"), 1).await.is_ok());
        drop(held);
        assert!(take_now(&room, suspect("b"), usize::MAX).await.is_ok());
    }
}
