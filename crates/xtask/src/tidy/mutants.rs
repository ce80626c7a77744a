//! Each planted bug of `sim/mutants` fits the sources as they are, and says what it is.

use anyhow::Result;

use super::Faults;
use crate::{mutants, workspace};

/// Bugs that there are at least.
const MUTANTS_MIN: usize = 14;

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let patches = mutants::patches()?;
    if patches.len() < MUTANTS_MIN {
        faults.push(format!("sim/mutants holds fewer than {MUTANTS_MIN} patches"));
    }
    for patch in patches {
        let path = workspace::relative(&patch);
        if !std::fs::read_to_string(&patch)?.lines().next().is_some_and(|line| line.ends_with('.'))
        {
            faults.push(format!("{path} does not say in its first line what is wrong"));
        }
        if !mutants::fits(&patch)? {
            faults.push(format!("{path} does not fit the sources any more: make it anew"));
        }
    }
    Ok(())
}
