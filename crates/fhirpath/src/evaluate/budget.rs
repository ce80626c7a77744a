//! The bounds of an evaluation.

use crate::error::EvaluationError;

/// The most items a collection may have.
pub const COLLECTION_ITEMS_MAX: usize = 100_000;
/// The longest string an expression may make, in bytes.
pub const STRING_BYTES_MAX: usize = 1 << 20;
/// As many bytes of a string cost one step to make or to search.
const BYTES_PER_STEP: usize = 64;

/// The steps that are left.
pub(crate) struct Budget {
    left: u32,
}

impl Budget {
    pub(crate) fn new(steps: u32) -> Self {
        Self { left: steps }
    }

    /// Takes steps away.
    #[inline]
    pub(crate) fn spend(&mut self, steps: u32) -> Result<(), EvaluationError> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(EvaluationError::StepLimit),
        }
    }

    /// Accounts for items that were added to a collection.
    pub(crate) fn made(
        &mut self,
        added: usize,
        total: usize,
        offset: usize,
    ) -> Result<(), EvaluationError> {
        if total > COLLECTION_ITEMS_MAX {
            return Err(EvaluationError::TooLarge { offset });
        }
        self.spend(u32::try_from(added).unwrap_or(u32::MAX))
    }

    /// Accounts for a string of this many bytes.
    pub(crate) fn bytes(&mut self, bytes: usize, offset: usize) -> Result<(), EvaluationError> {
        if bytes > STRING_BYTES_MAX {
            return Err(EvaluationError::TooLarge { offset });
        }
        self.spend(u32::try_from(bytes / BYTES_PER_STEP).unwrap_or(u32::MAX))
    }
}
