//! Random bytes for names and draws, asked of the system many at a time: each thread keeps some.
//!
//! For what has to be unlikely to repeat or hard to guess. Secrets are asked of the system one by one.

use std::cell::RefCell;

/// Bytes that are asked for in one go.
const POOL_BYTES: usize = 512;

/// Bytes of which the last `left` are unused.
struct Pool {
    bytes: [u8; POOL_BYTES],
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], left: 0 }) };
}

/// So many random bytes, at most [`POOL_BYTES`]; none if the system has no randomness.
pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
    const { assert!(N <= POOL_BYTES, "more than is asked for in one go") };
    POOL.with_borrow_mut(|pool| {
        if pool.left < N {
            pool.left = 0;
            getrandom::fill(&mut pool.bytes).ok()?;
            pool.left = POOL_BYTES;
        }
        let (rest, given) = pool.bytes[..pool.left].split_last_chunk_mut::<N>()?;
        pool.left = rest.len();
        // Nobody is given what somebody has.
        Some(std::mem::replace(given, [0; N]))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_bytes_are_given_twice() {
        let mut given = BTreeSet::new();
        for _ in 0..1_000 {
            assert!(given.insert(random::<12>().unwrap()));
            assert!(given.insert({
                let [bytes @ .., _, _, _, _] = random::<16>().unwrap();
                bytes
            }));
        }
    }

    #[test]
    fn all_of_what_was_asked_for_is_given() {
        assert_ne!(random::<POOL_BYTES>().unwrap(), random::<POOL_BYTES>().unwrap());
    }
}
