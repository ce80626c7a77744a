//! Runs: consecutive events of one subscription, many to a row.
//!
//! A row has the number and the position of the last one, and how far apart the positions of those before it are,
//! newest first. A row without such gaps is a run of one, which every row was before format 6.

use crate::codec::{put_integer, take_integer};
use crate::fault::Fault;

/// Events of a run at most: reading one of them means reading all.
pub(crate) const RUN_MAX: usize = 256;

/// The gaps between positions, of which each is above the one before; none for a run of one.
pub(crate) fn gaps(positions: &[u64]) -> Option<Vec<u8>> {
    let mut gaps = Vec::with_capacity(positions.len());
    for pair in positions.windows(2).rev() {
        put_integer(&mut gaps, pair[1] - pair[0]);
    }
    (!gaps.is_empty()).then_some(gaps)
}

/// The events of a row, oldest first, as numbers and positions.
///
/// # Errors
///
/// `Corrupt` where numbers or positions would go below 1, or two events have one position.
pub(crate) fn events_of(
    number: u64,
    position: u64,
    mut gaps: &[u8],
) -> Result<Vec<(u64, u64)>, Fault> {
    let mut events = vec![(number, position)];
    let (mut number, mut position) = (number, position);
    while !gaps.is_empty() {
        let gap = take_integer(&mut gaps)?;
        let before = position.checked_sub(gap).filter(|before| gap > 0 && *before > 0);
        position = before.ok_or(Fault::corrupt("a run of events goes below the first change"))?;
        let before = number.checked_sub(1).filter(|before| *before > 0);
        number = before.ok_or(Fault::corrupt("a run of events goes below the first event"))?;
        events.push((number, position));
    }
    events.reverse();
    Ok(events)
}

#[cfg(test)]
mod tests {
    use cresset_store::Error;

    use super::*;

    #[test]
    fn what_is_put_in_a_row_comes_out() {
        for positions in
            [&[7][..], &[1, 2, 3], &[5, 6, 1_000, 1 << 40], &(1..=256).collect::<Vec<u64>>()]
        {
            let (count, last) = (positions.len() as u64, positions[positions.len() - 1]);
            for number in [count, count + 41] {
                let gaps = gaps(positions);
                assert_eq!(gaps.is_none(), count == 1);
                let events = events_of(number, last, &gaps.unwrap_or_default()).unwrap();
                let first = number - count + 1;
                let expect: Vec<_> = (first..).zip(positions.iter().copied()).collect();
                assert_eq!(events, expect);
            }
        }
    }

    #[test]
    fn what_can_be_no_run_is_refused() {
        for (number, position, gaps) in [
            (0, 9, &[1][..]),
            (1, 9, &[1]),
            (9, 1, &[1]),
            (9, 9, &[10]),
            (9, 9, &[0]),
            (9, 9, &[0x80]),
        ] {
            let refused = events_of(number, position, gaps).map_err(Error::from);
            assert!(matches!(refused, Err(Error::Corrupt { .. })), "{number} {position} {gaps:?}");
        }
    }
}
