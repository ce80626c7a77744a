//! Numbers and texts inside blobs: LEB128 for unsigned integers, length before bytes.

use crate::fault::Fault;

const TRUNCATED: &str = "a blob ends too early";

/// Appends an integer in as few bytes as it needs.
pub(crate) fn put_integer(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a text with its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_integer(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Takes an integer off the front.
pub(crate) fn take_integer(blob: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(blob)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Fault::corrupt("a blob holds an integer of more than 64 bits"))
}

/// Takes one byte off the front.
pub(crate) fn take_byte(blob: &mut &[u8]) -> Result<u8, Fault> {
    let (first, rest) = blob.split_first().ok_or(Fault::corrupt(TRUNCATED))?;
    *blob = rest;
    Ok(*first)
}

/// Takes eight bytes off the front.
pub(crate) fn take_eight(blob: &mut &[u8]) -> Result<[u8; 8], Fault> {
    let (eight, rest) = blob.split_first_chunk().ok_or(Fault::corrupt(TRUNCATED))?;
    *blob = rest;
    Ok(*eight)
}

/// Takes a text off the front.
pub(crate) fn take_text<'b>(blob: &mut &'b [u8]) -> Result<&'b str, Fault> {
    let length = usize::try_from(take_integer(blob)?).map_err(|_| Fault::corrupt(TRUNCATED))?;
    let (text, rest) = blob.split_at_checked(length).ok_or(Fault::corrupt(TRUNCATED))?;
    *blob = rest;
    std::str::from_utf8(text).map_err(|_| Fault::corrupt("a blob holds text that is not UTF-8"))
}

#[cfg(test)]
mod tests;
