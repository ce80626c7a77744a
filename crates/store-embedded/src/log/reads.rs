//! Reads of changes: by position, by resource, by type.

use std::collections::BTreeMap;
use std::ops::Bound;

use cresset_model::{
    Base, Change, Interaction, Position, ResourceId, ResourceKey, ResourceType, VersionId,
};
use cresset_store::{Error, PAGE_BYTES_MAX, PAGE_MAX};
use rusqlite::{Connection, OptionalExtension, params};

use super::Log;
use super::row::{SELECT_CHANGE, stored};
use crate::fault::Fault;
use crate::tail::{Slot, Tail};

const DANGLING: &str = "a view points to a change that is not there";

/// The newest change of a resource, as far as it is in the file; nulls where the view points to nothing.
const SELECT_CURRENT: &str = "
    SELECT entry.position, entry.base, entry.type, entry.id, entry.version, interaction, at, author, body, trace
    FROM version LEFT JOIN entry ON entry.position = version.position
    WHERE version.base = ?1 AND version.type = ?2 AND version.id = ?3
    ORDER BY version.version DESC LIMIT 1";

/// Keys for which one snapshot of the file is taken; for fewer, locking it for each statement costs less.
const SNAPSHOT_MIN: usize = 8;

impl Log {
    pub(crate) fn changes(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Change>, Fault> {
        let Some(head) = self.head()? else { return Ok(Vec::new()) };
        self.read(|connection| {
            let mut select = connection.prepare_cached(&format!(
                "{SELECT_CHANGE} WHERE position > ?1 AND position <= ?2 ORDER BY position"
            ))?;
            let after = after.map_or(0, |after| after.get().cast_signed());
            let mut rows = select.query(params![after, head.get()])?;
            let mut page = ChangePage::new(limit);
            while page.has_room() {
                let Some(row) = rows.next()? else { break };
                page.push(self.change_of(connection, row)?);
            }
            Ok(page.changes)
        })
    }

    pub(crate) fn change(&self, position: Position) -> Result<Option<Change>, Fault> {
        if Some(position) > self.head()? {
            return Ok(None);
        }
        self.read(|connection| self.change_at(connection, position.get()))
    }

    pub(crate) fn changes_at(
        &self,
        positions: &[Position],
        bytes_max: usize,
    ) -> Result<Vec<Option<Change>>, Fault> {
        let head = self.head()?;
        self.read(|connection| {
            // Locked once, not for each.
            let _snapshot = connection.unchecked_transaction()?;
            let mut found = Vec::with_capacity(positions.len().min(PAGE_MAX));
            let mut bytes = 0;
            for position in positions.iter().take(PAGE_MAX) {
                let is_there = Some(*position) <= head;
                let change = is_there.then(|| self.change_at(connection, position.get()));
                let change = change.transpose()?.flatten();
                bytes += change.as_ref().map_or(0, |change| change.body.len());
                found.push(change);
                if bytes >= bytes_max {
                    break;
                }
            }
            Ok(found)
        })
    }

    pub(crate) fn current(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Change>>, Fault> {
        if keys.len() > PAGE_MAX {
            return Err(Error::invalid("more keys than a page may have").into());
        }
        let each = |connection: &Connection| -> Result<Vec<_>, Fault> {
            keys.iter().map(|key| self.current_of(connection, key)).collect()
        };
        if keys.len() < SNAPSHOT_MIN {
            return self.read(each);
        }
        loop {
            let folded = self.seen().folded;
            let found = self.read(|connection| {
                let _snapshot = connection.unchecked_transaction()?;
                each(connection)
            })?;
            // What was folded into the file meanwhile is in neither the tail nor the snapshot.
            if self.seen().folded == folded {
                return Ok(found);
            }
        }
    }

    fn current_of(
        &self,
        connection: &Connection,
        key: &ResourceKey,
    ) -> Result<Option<Change>, Fault> {
        let Some(slot) = self.slot(connection, key)? else { return Ok(None) };
        let in_tail = self.seen().current(&slot);
        if let Some((_, position)) = in_tail {
            return self.pointed(connection, position).map(Some);
        }
        // One statement: a start reads a million of them.
        let mut select = connection.prepare_cached(SELECT_CURRENT)?;
        let named = params![slot.base, slot.resource_type, slot.id.as_str()];
        let mut rows = select.query(named)?;
        let Some(row) = rows.next()? else { return Ok(None) };
        match row.get::<_, Option<u64>>(0)? {
            Some(_) => self.change_of(connection, row).map(Some),
            None => Err(Fault::corrupt(DANGLING)),
        }
    }

    pub(crate) fn version(
        &self,
        key: &ResourceKey,
        version: VersionId,
    ) -> Result<Option<Change>, Fault> {
        self.read(|connection| {
            let Some(slot) = self.slot(connection, key)? else { return Ok(None) };
            let in_tail = self.seen().versions(&slot);
            let position = match in_tail.iter().find(|(number, _)| *number == version.get()) {
                Some((_, position)) => Some(*position),
                None => connection
                    .prepare_cached(
                        "SELECT position FROM version
                         WHERE base = ?1 AND type = ?2 AND id = ?3 AND version = ?4",
                    )?
                    .query_row(
                        params![
                            slot.base,
                            slot.resource_type,
                            slot.id.as_str(),
                            version.get().cast_signed()
                        ],
                        |row| row.get(0),
                    )
                    .optional()?,
            };
            position.map(|position| self.pointed(connection, position)).transpose()
        })
    }

    pub(crate) fn history(
        &self,
        key: &ResourceKey,
        before: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Change>, Fault> {
        self.read(|connection| {
            let Some(slot) = self.slot(connection, key)? else { return Ok(Vec::new()) };
            let in_tail = self.seen().versions(&slot);
            let before = before.map_or(i64::MAX, |before| before.get().cast_signed());
            let lowest = in_tail.last().map_or(i64::MAX, |(number, _)| number.cast_signed());
            let mut page = ChangePage::new(limit);
            for (number, position) in in_tail {
                if number.cast_signed() < before && page.has_room() {
                    page.push(self.pointed(connection, position)?);
                }
            }
            let mut select = connection.prepare_cached(
                "SELECT position FROM version
                 WHERE base = ?1 AND type = ?2 AND id = ?3 AND version < ?4
                 ORDER BY version DESC",
            )?;
            let id = slot.id.as_str();
            let mut rows =
                select.query(params![slot.base, slot.resource_type, id, before.min(lowest)])?;
            while page.has_room() {
                let Some(row) = rows.next()? else { break };
                page.push(self.pointed(connection, row.get(0)?)?);
            }
            Ok(page.changes)
        })
    }

    pub(crate) fn resources(
        &self,
        base: Base,
        resource_type: &ResourceType,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<Change>, Fault> {
        self.read(|connection| {
            let Some(number) = self.types.number(connection, resource_type)? else {
                return Ok(Vec::new());
            };
            let mut page = ChangePage::new(limit);
            let mut after = after.cloned();
            while page.has_room() {
                let positions = self.listed(connection, base, number, after.as_ref())?;
                let Some((last, _)) = positions.last() else { break };
                after = Some(last.clone());
                for (_, position) in positions {
                    let change = self.pointed(connection, position)?;
                    if change.interaction != Interaction::Delete && page.has_room() {
                        page.push(change);
                    }
                }
            }
            Ok(page.changes)
        })
    }

    /// The next resources of a type, deleted or not, by id, with the position of the newest
    /// version of each.
    fn listed(
        &self,
        connection: &Connection,
        base: Base,
        type_number: i64,
        after: Option<&ResourceId>,
    ) -> Result<Vec<(ResourceId, u64)>, Fault> {
        const STEP: usize = 64;
        let mut found = self.seen().listed(base.number(), type_number, after, STEP);
        let mut select = connection.prepare_cached(
            "SELECT id, max(position) FROM version WHERE base = ?1 AND type = ?2 AND id > ?3
             GROUP BY id ORDER BY id LIMIT ?4",
        )?;
        let after = after.map_or("", ResourceId::as_str);
        let mut rows = select.query(params![base.number(), type_number, after, STEP])?;
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            let id = stored(ResourceId::new(&id).ok())?;
            // What the tail says is newer.
            found.entry(id).or_insert(row.get(1)?);
        }
        Ok(found.into_iter().take(STEP).collect())
    }

    /// The slot of a resource; none if nothing of its type was ever stored.
    fn slot(&self, connection: &Connection, key: &ResourceKey) -> Result<Option<Slot>, Fault> {
        let number = self.types.number(connection, &key.resource_type)?;
        Ok(number.map(|resource_type| Slot {
            base: key.base.number(),
            resource_type,
            id: key.id.clone(),
        }))
    }

    /// The change that a view points to.
    fn pointed(&self, connection: &Connection, position: u64) -> Result<Change, Fault> {
        self.change_at(connection, position)?.ok_or(Fault::corrupt(DANGLING))
    }
}

impl Tail {
    fn listed(
        &self,
        base: u8,
        resource_type: i64,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> BTreeMap<ResourceId, u64> {
        // The lowest id there can be, as a bound that a slot can be made of.
        let first = after.cloned().or_else(|| ResourceId::new("-").ok());
        let start = first.map(|id| Slot { base, resource_type, id });
        let start = match (start, after) {
            (None, _) => Bound::Unbounded,
            (Some(slot), None) => Bound::Included(slot),
            (Some(slot), Some(_)) => Bound::Excluded(slot),
        };
        let frozen = self.frozen.as_ref().map(|frozen| &frozen.overlay);
        let mut found = BTreeMap::new();
        for overlay in frozen.into_iter().chain([&self.active]) {
            let of_type = overlay
                .versions
                .range((start.clone(), Bound::Unbounded))
                .take_while(|(slot, _)| (slot.base, slot.resource_type) == (base, resource_type));
            for (slot, versions) in of_type.take(limit) {
                found.extend(versions.last().map(|(_, position)| (slot.id.clone(), *position)));
            }
        }
        found
    }
}

/// A page that is being filled.
struct ChangePage {
    changes: Vec<Change>,
    bytes: usize,
    limit: usize,
}

impl ChangePage {
    fn new(limit: usize) -> Self {
        Self { changes: Vec::new(), bytes: 0, limit: limit.min(PAGE_MAX) }
    }

    fn has_room(&self) -> bool {
        self.changes.len() < self.limit && self.bytes < PAGE_BYTES_MAX
    }

    fn push(&mut self, change: Change) {
        self.bytes += change.body.len();
        self.changes.push(change);
    }
}
