//! The room that one answer to a bundle has: bytes of resources, and searches.

use std::sync::atomic::{AtomicUsize, Ordering};

use cresset_fhir::AnswerEntry;
use cresset_model::{Issue, IssueCode};

use super::Representation;
use super::entry::done;
use crate::error::{Error, Kind};
use crate::intent::Written;

/// Bytes of resources after which an answer takes no further one; one page of a search may go
/// beyond it.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Searches of one bundle.
const SEARCHES_MAX: usize = 1_000;

/// What the entries of one bundle have taken by now. What does not fit is refused, or left out
/// where something was written, with an issue that tells so.
#[derive(Debug, Default)]
pub(super) struct Room {
    bytes: AtomicUsize,
    searches: AtomicUsize,
}

impl Room {
    /// Refuses to read once the answer is full.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.bytes.load(Ordering::Relaxed) < ANSWER_BYTES_MAX { Ok(()) } else { Err(full()) }
    }

    /// As [`Self::check`], for a search.
    pub(super) fn check_search(&self) -> Result<(), Error> {
        self.check()?;
        if self.searches.fetch_add(1, Ordering::Relaxed) >= SEARCHES_MAX {
            let text = format!("a bundle may have at most {SEARCHES_MAX} searches");
            return Err(Error::of(Kind::TooCostly, IssueCode::BundleTooCostly, text));
        }
        Ok(())
    }

    /// Takes note of what was read.
    pub(super) fn take(&self, answer: &AnswerEntry) {
        let bytes = answer.resource.as_ref().map_or(0, Vec::len);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What an entry that wrote is answered, without the resource if there is no room for it.
    pub(super) fn done(&self, written: &Written, representation: Representation) -> AnswerEntry {
        let wanted = representation == Representation::Full && written.change.is_some();
        if !wanted || self.check().is_ok() {
            let answer = done(written, representation);
            self.take(&answer);
            return answer;
        }
        let mut answer = done(written, Representation::None);
        let text = "the answer is too large to hold this resource, too; read it";
        let issue = Issue::warning(IssueCode::BundleTooCostly, text);
        answer.outcome.get_or_insert_default().push(issue);
        answer
    }
}

fn full() -> Error {
    let text = format!("the answer to the bundle holds {ANSWER_BYTES_MAX} bytes already");
    Error::of(Kind::TooCostly, IssueCode::BundleTooCostly, text)
}
