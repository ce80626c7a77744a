//! Rows of `entry`, and the numbers in columns.

use bytes::Bytes;
use cresset_model::{
    Base, Change, EventNumber, Interaction, Position, ResourceId, ResourceKey, Retries,
    SubscriptionKey, TraceContext, VersionId,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::Log;
use crate::codec::{put_integer, take_eight, take_integer};
use crate::fault::Fault;

/// The columns that make a change, in the order of [`Log::change_of`].
pub(super) const SELECT_CHANGE: &str =
    "SELECT position, base, type, id, version, interaction, at, author, body, trace FROM entry";

/// An interaction as it is stored; numbers never change meaning.
pub(super) const fn interaction_number(interaction: Interaction) -> i64 {
    match interaction {
        Interaction::Create => 1,
        Interaction::Update => 2,
        Interaction::Delete => 3,
    }
}

fn interaction(number: i64) -> Option<Interaction> {
    match number {
        1 => Some(Interaction::Create),
        2 => Some(Interaction::Update),
        3 => Some(Interaction::Delete),
        _ => None,
    }
}

/// A time as it is stored.
///
/// # Errors
///
/// `Invalid` for times that 64 bits of nanoseconds cannot hold (before 1677, after 2262).
pub(super) fn nanoseconds(at: Timestamp) -> Result<i64, Fault> {
    i64::try_from(at.as_nanosecond())
        .map_err(|_| cresset_store::Error::invalid("a time beyond the year 2262").into())
}

pub(super) fn timestamp(nanoseconds: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_err(|_| Fault::corrupt("a time out of range"))
}

/// What a stored number stands for, if it is what it must be.
pub(super) fn stored<T>(value: Option<T>) -> Result<T, Fault> {
    value.ok_or(Fault::corrupt("a stored number is out of range"))
}

pub(super) fn subscription_key(number: u64) -> Result<SubscriptionKey, Fault> {
    stored(Position::new(number).map(SubscriptionKey::created_at))
}

/// Appends a subscription and a number to a blob of such pairs.
pub(super) fn put_pair(blob: &mut Vec<u8>, subscription: SubscriptionKey, number: EventNumber) {
    put_integer(blob, subscription.position().get());
    put_integer(blob, number.get());
}

/// Reads a blob of pairs.
pub(super) fn take_pairs(
    mut blob: &[u8],
    mut each: impl FnMut(SubscriptionKey, u64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    while !blob.is_empty() {
        let subscription = subscription_key(take_integer(&mut blob)?)?;
        each(subscription, take_integer(&mut blob)?)?;
    }
    Ok(())
}

/// A trace as [`TraceContext::to_bytes`] gave it.
fn trace(bytes: [u8; TraceContext::BYTES]) -> Result<TraceContext, Fault> {
    stored(TraceContext::from_bytes(bytes))
}

/// Where retries stand, as a blob of numbers.
pub(super) fn retries_blob(retries: &Retries) -> Result<Vec<u8>, Fault> {
    let mut blob = Vec::with_capacity(32);
    put_integer(&mut blob, u64::from(retries.failures));
    put_integer(&mut blob, u64::from(retries.rejections));
    put_integer(&mut blob, retries.repeat_last.map_or(0, EventNumber::get));
    for time in [retries.failing_since, retries.resume, retries.at] {
        blob.extend_from_slice(&nanoseconds(time)?.to_le_bytes());
    }
    Ok(blob)
}

/// Reads what [`retries_blob`] wrote.
pub(super) fn take_retries(mut blob: &[u8]) -> Result<Retries, Fault> {
    let mut count = || stored(u32::try_from(take_integer(&mut blob)?).ok());
    let (failures, rejections) = (count()?, count()?);
    let repeat_last = EventNumber::new(take_integer(&mut blob)?);
    let mut time = || timestamp(i64::from_le_bytes(take_eight(&mut blob)?));
    let (failing_since, resume, at) = (time()?, time()?, time()?);
    Ok(Retries { failures, rejections, failing_since, resume, repeat_last, at })
}

impl Log {
    /// The change in a row of [`SELECT_CHANGE`].
    pub(super) fn change_of(
        &self,
        connection: &Connection,
        row: &Row<'_>,
    ) -> Result<Change, Fault> {
        let text = |index| {
            row.get_ref(index)?.as_str().map_err(|_| Fault::corrupt("an id that is not text"))
        };
        let body = row.get_ref(8)?.as_blob().map_err(|_| Fault::corrupt("a body without bytes"))?;
        Ok(Change {
            position: stored(Position::new(row.get(0)?))?,
            key: ResourceKey {
                base: Base::new(row.get(1)?),
                resource_type: self.types.name(connection, row.get(2)?)?,
                id: stored(ResourceId::new(text(3)?).ok())?,
            },
            version: stored(VersionId::new(row.get(4)?))?,
            interaction: stored(interaction(row.get(5)?))?,
            at: timestamp(row.get(6)?)?,
            author: self.clients.name(connection, row.get(7)?)?,
            body: Bytes::copy_from_slice(body),
            trace: row.get::<_, Option<_>>(9)?.map(trace).transpose()?,
        })
    }

    /// The change at a position that something stored points to.
    pub(super) fn change_at(
        &self,
        connection: &Connection,
        position: u64,
    ) -> Result<Option<Change>, Fault> {
        let mut select =
            connection.prepare_cached(&format!("{SELECT_CHANGE} WHERE position = ?1"))?;
        let change =
            select.query_row([position], |row| Ok(self.change_of(connection, row))).optional()?;
        change.transpose()
    }
}
