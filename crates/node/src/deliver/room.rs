//! Room for the bytes of notifications under way, of whole resources above all.
//!
//! A notification takes room before it is built, as if it were as large as one may be, and gives back what it does
//! not need. So what is being built is bounded as well, and whoever waits for room holds no bytes meanwhile.
//!
//! No host takes more while it has as much as is free: those that hang share the room and never take all of it (I6).

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

/// What is taken, or waited for by those whose turn it is.
#[derive(Default)]
struct Taken {
    units: u32,
    by_host: FxHashMap<HostName, u32>,
}

/// Room that one notification has; given back when it is dropped.
pub(super) struct Held {
    room: Arc<Room>,
    host: HostName,
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

    /// Takes room for a notification to this host that is not built yet and may have so many bytes.
    ///
    /// Cancel safe: what was taken is given back.
    pub(super) async fn take(
        self: &Arc<Self>,
        host: &HostName,
        bytes_max: usize,
    ) -> Result<Held, NoRoom> {
        self.take_by(host, bytes_max, Instant::now() + ROOM_TIME_MAX).await
    }

    /// The same, until then at most.
    async fn take_by(
        self: &Arc<Self>,
        host: &HostName,
        bytes_max: usize,
        until: Instant,
    ) -> Result<Held, NoRoom> {
        let units = units_of(bytes_max).min((self.units / BUILT_MIN).max(1));
        let mut held = self.turn(host, units, until).await?;
        held.permit = Some(self.acquire(units, until).await?);
        Ok(held)
    }

    /// Waits until this host may have more.
    async fn turn(
        self: &Arc<Self>,
        host: &HostName,
        units: u32,
        until: Instant,
    ) -> Result<Held, NoRoom> {
        loop {
            let given_back = self.given_back.notified();
            if self.taken().take(host, units, self.units) {
                let (room, host) = (self.clone(), host.clone());
                return Ok(Held { room, host, units, permit: None, until });
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
    fn take(&mut self, host: &HostName, units: u32, all: u32) -> bool {
        let own = self.by_host.get(host).copied().unwrap_or(0);
        let may = own == 0 || own < all.saturating_sub(self.units);
        if may {
            self.add(host, units);
        }
        may
    }

    fn add(&mut self, host: &HostName, units: u32) {
        self.units = self.units.saturating_add(units);
        let own = self.by_host.entry(host.clone()).or_default();
        *own = own.saturating_add(units);
    }

    fn give_back(&mut self, host: &HostName, units: u32) {
        self.units = self.units.saturating_sub(units);
        if let Some(own) = self.by_host.get_mut(host) {
            *own = own.saturating_sub(units);
            if *own == 0 {
                self.by_host.remove(host);
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
            self.room.taken().add(&self.host, more);
            self.units = units;
            let more = self.room.acquire(more, self.until).await?;
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                permit @ None => *permit = Some(more),
            }
        } else {
            let less = usize::try_from(self.units - units).unwrap_or(0);
            drop(self.permit.as_mut().and_then(|permit| permit.split(less)));
            self.room.taken().give_back(&self.host, self.units - units);
            self.units = units;
            self.room.given_back.notify_waiters();
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.permit = None;
        self.room.taken().give_back(&self.host, self.units);
        self.room.given_back.notify_waiters();
    }
}

fn units_of(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostName {
        name.into()
    }

    /// Takes room and fits it to so many bytes.
    async fn take(room: &Arc<Room>, name: &str, bytes: usize) -> Result<Held, NoRoom> {
        // Without waiting.
        let mut held = room.take_by(&host(name), bytes, Instant::now()).await?;
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
            async move { room.take(&host("a"), UNIT_BYTES).await.map(|held| held.units) }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(held);
        assert_eq!(waits.await.unwrap(), Ok(1));
    }

    #[tokio::test]
    async fn a_small_notification_keeps_no_more_than_it_needs_and_a_large_one_gets_it() {
        let room = Room::new(64 * UNIT_BYTES);
        let mut held = room.take(&host("a"), usize::MAX).await.unwrap();
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
}
