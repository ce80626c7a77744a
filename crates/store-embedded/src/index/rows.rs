//! The search values of a document as a blob.
//!
//! Stored in `index.db`: whoever changes anything here changes the index's format number.

use cresset_store::{Error, IndexRow, IndexedValue, clip};
use jiff::Timestamp;
use smol_str::SmolStr;

use crate::codec::{put_integer, put_text, take_byte, take_eight, take_integer, take_text};
use crate::fault::Fault;

const REFERENCE: u8 = 1;
const REFERENCE_URL: u8 = 2;
const STRETCH: u8 = 3;
const TEXT: u8 = 4;
const TOKEN: u8 = 5;
const URI: u8 = 6;
const NONE: u8 = 0;
const SOME: u8 = 1;

/// A time as it is stored.
pub(super) fn nanoseconds(at: Timestamp) -> Result<i64, Fault> {
    i64::try_from(at.as_nanosecond())
        .map_err(|_| Error::invalid("a time beyond the year 2262").into())
}

pub(super) fn put_rows(rows: &[IndexRow]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(rows.len() * 32);
    put_integer(&mut blob, rows.len() as u64);
    for row in rows {
        put_text(&mut blob, &row.parameter);
        put_value(&mut blob, &row.value);
    }
    blob
}

fn put_value(blob: &mut Vec<u8>, value: &IndexedValue) {
    let text = |blob: &mut Vec<u8>, text: &str| put_text(blob, clip(text));
    match value {
        IndexedValue::Reference { resource_type, id } => {
            blob.push(REFERENCE);
            text(blob, resource_type);
            text(blob, id);
        }
        IndexedValue::ReferenceUrl(url) => {
            blob.push(REFERENCE_URL);
            text(blob, url);
        }
        IndexedValue::Stretch { low, high } => {
            blob.push(STRETCH);
            blob.extend(low.to_le_bytes());
            blob.extend(high.to_le_bytes());
        }
        IndexedValue::Text { folded, exact } => {
            blob.push(TEXT);
            text(blob, folded);
            text(blob, exact);
        }
        IndexedValue::Token { system, code } => {
            blob.push(TOKEN);
            put_option(blob, system.as_deref());
            text(blob, code);
        }
        IndexedValue::Uri(uri) => {
            blob.push(URI);
            text(blob, uri);
        }
    }
}

fn put_option(blob: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => blob.push(NONE),
        Some(text) => {
            blob.push(SOME);
            put_text(blob, clip(text));
        }
    }
}

pub(super) fn take_rows(mut blob: &[u8]) -> Result<Vec<IndexRow>, Fault> {
    let count = take_integer(&mut blob)?;
    let mut rows = Vec::new();
    for _ in 0..count {
        let parameter = take_smol(&mut blob)?;
        rows.push(IndexRow { parameter, value: take_value(&mut blob)? });
    }
    if blob.is_empty() { Ok(rows) } else { Err(Fault::corrupt("a blob is longer than it says")) }
}

fn take_value(blob: &mut &[u8]) -> Result<IndexedValue, Fault> {
    let integer = |blob: &mut &[u8]| Ok::<_, Fault>(i64::from_le_bytes(take_eight(blob)?));
    Ok(match take_byte(blob)? {
        REFERENCE => {
            IndexedValue::Reference { resource_type: take_smol(blob)?, id: take_smol(blob)? }
        }
        REFERENCE_URL => IndexedValue::ReferenceUrl(take_smol(blob)?),
        STRETCH => IndexedValue::Stretch { low: integer(blob)?, high: integer(blob)? },
        TEXT => IndexedValue::Text { folded: take_smol(blob)?, exact: take_smol(blob)? },
        TOKEN => IndexedValue::Token { system: take_option(blob)?, code: take_smol(blob)? },
        URI => IndexedValue::Uri(take_smol(blob)?),
        _ => return Err(Fault::corrupt("a search value of an unknown kind")),
    })
}

fn take_option(blob: &mut &[u8]) -> Result<Option<SmolStr>, Fault> {
    match take_byte(blob)? {
        NONE => Ok(None),
        SOME => take_smol(blob).map(Some),
        _ => Err(Fault::corrupt("an option that is neither")),
    }
}

fn take_smol(blob: &mut &[u8]) -> Result<SmolStr, Fault> {
    take_text(blob).map(SmolStr::new)
}
