//! The change log: the one ordered truth everything else is folded from.

use cresset_model::{Change, Position};

use crate::{Appended, Error, Group, PAGE_MAX};

/// The ordered log of changes, and the one place that numbers events.
///
/// Every call may block on a disk or a network; [`append`](Self::append) blocks until what it
/// wrote is flushed. Reads never wait for an append in progress. A read that starts after an
/// append has returned sees all of it; a read that runs beside one sees all of it or nothing.
pub trait ChangeLog: Send + Sync {
    /// The position of the last durable change.
    ///
    /// # Errors
    ///
    /// `Unavailable`: try again. `Corrupt`: stop.
    fn head(&self) -> Result<Option<Position>, Error>;

    /// Makes a group durable, in one transaction: all of it or nothing.
    ///
    /// Gives each event the next number of its subscription: 1, 2, 3 … without gap (I1), however
    /// often the process dies. A subscription named twice by one entry gets one event (I2). The
    /// caller ensures that `version` is the one that follows the resource's newest.
    ///
    /// When it returns, the group is flushed to disk. It does *not* mean that the search index
    /// has seen it.
    ///
    /// # Errors
    ///
    /// - `Fenced`: the positions are not head + 1, head + 2 …; read the head, decide anew.
    /// - `Invalid`: an event for a subscription that is not alive, a cursor above the last
    ///   number, a bound exceeded. A bug of the caller; nothing was done.
    /// - `Unavailable`: nothing was done; the same group may be tried again.
    /// - `Unknown`: read the head: if it is the group's last position, it was done.
    /// - `Corrupt`: stop.
    fn append(&self, group: &Group) -> Result<Appended, Error>;

    /// Changes after `after` (from the first, if `None`) in order of position.
    ///
    /// Returns at most `limit`, [`crate::PAGE_MAX`] and [`crate::PAGE_BYTES_MAX`] of bodies, but
    /// at least one if there is one. The end of the log is an empty page, not a short one.
    ///
    /// # Errors
    ///
    /// `Unavailable`: try again. `Corrupt`: stop.
    fn changes(&self, after: Option<Position>, limit: usize) -> Result<Vec<Change>, Error>;

    /// The change at a position, if there is one.
    ///
    /// # Errors
    ///
    /// `Unavailable`: try again. `Corrupt`: stop.
    fn change(&self, position: Position) -> Result<Option<Change>, Error>;

    /// The changes at positions, in their order, each as [`change`](Self::change) has it.
    ///
    /// Looks at no more than [`crate::PAGE_MAX`] of them and ends after `bytes_max` of bodies, but looks at least at
    /// the first: what it has not looked at is to be asked for again.
    ///
    /// # Errors
    ///
    /// `Unavailable`: try again. `Corrupt`: stop.
    fn changes_at(
        &self,
        positions: &[Position],
        bytes_max: usize,
    ) -> Result<Vec<Option<Change>>, Error> {
        let mut found = Vec::with_capacity(positions.len().min(PAGE_MAX));
        let mut bytes = 0;
        for position in positions.iter().take(PAGE_MAX) {
            let change = self.change(*position)?;
            bytes += change.as_ref().map_or(0, |change| change.body.len());
            found.push(change);
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(found)
    }
}
