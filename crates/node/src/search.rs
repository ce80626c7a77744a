//! Search: what REST clients ask of the resources.
//!
//! The index narrows down, `search` decides on the resource itself, so REST search, triggers and
//! filters have one meaning. A search sees everything that was written before it arrived: it
//! waits for the index to get there, for a bounded time. What may cost much is bounded, and a search
//! that meets a bound says so (docs/search.md).
//!
//! * [`request`]: what is asked. [`wanted`]: the parameters about the form of the answer.
//! * [`finder`]: candidates from the index, judged. [`walk`]: along them, a lot at a time. [`narrow`]:
//!   what of chains, `_has` and sets the index can be asked. [`sort`], [`by_time`]: in another order
//!   than the index's.
//! * [`built_ins`]: the server's own definitions among the matches.
//! * [`include`]: what goes with the matches. [`answer`]: the Bundle.
//!
//! Tests: `tests/search.rs`, and `tests/two_ways.rs` for one truth.

mod answer;
mod built_ins;
mod by_time;
mod finder;
mod include;
mod narrow;
mod place;
mod request;
mod sort;
mod walk;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use cresset_definitions::{Definitions, FhirVersion};
use cresset_model::{Issue, IssueCode, Position};
use cresset_search::{Parameters, Scope};

pub use self::answer::SearchAnswer;
pub(crate) use self::include::is_reference;
pub use self::request::{SearchRequest, SearchTarget};

use self::finder::Finder;
use self::request::Asked;
use self::wanted::TotalMode;
use crate::caller::Caller;
use crate::error::{Error, Kind};
use crate::node::Node;
use crate::shared::Shared;

/// Resources that are counted at most; more are not counted to the end (I10).
const COUNTED_MAX: usize = 100_000;

impl Node {
    /// Searches; gives a searchset.
    ///
    /// # Errors
    /// `Malformed` for a parameter that is not known or a value that cannot be read; `Forbidden` for
    /// types that the caller may not read, also in chains and includes; `NotFound` for a type that
    /// the version lacks; `TooCostly` beyond a bound; `Unavailable` if the index is too far behind,
    /// or too many searches are under way.
    pub async fn search(
        &self,
        caller: &Caller,
        version: FhirVersion,
        target: SearchTarget<'_>,
        request: &SearchRequest,
    ) -> Result<SearchAnswer, Error> {
        let base_url = self.shared.base_url(version);
        let scope = Scope { parameters: Parameters::of(version), base_url: &base_url };
        let asked = Asked::read(&self.shared, caller, &scope, target, request)?;
        wait_for_index(&self.shared, self.shared.config.search.wait_max).await?;
        let (shared, caller) = (self.shared.clone(), caller.clone());
        let search = move || answered(&shared, &caller, version, asked);
        self.shared.work_of_search(search).await
    }
}

/// Does the work of a search, on a thread that may block.
fn answered(
    shared: &Shared,
    caller: &Caller,
    version: FhirVersion,
    asked: Asked,
) -> Result<SearchAnswer, Error> {
    let base_url = shared.base_url(version);
    let mut finder = Finder::new(shared, caller, version, &base_url);
    finder.check_sets(&asked)?;
    let wanted = &asked.wanted;
    let built_ins = finder.built_ins(&asked)?;
    if wanted.count == 0 || wanted.is_count_only {
        let total = finder.count(&asked)?.ok_or_else(|| too_costly("count what matches"))?;
        let total = total + built_ins.len() as u64;
        return Ok(answer::render(&base_url, &asked, answer::Page::of_total(total)));
    }
    let mut page = match wanted.sort.is_empty() {
        true => finder.page(&asked)?,
        false => finder.sorted_page(&asked)?,
    };
    match wanted.total {
        TotalMode::Known => {}
        TotalMode::None => page.total = None,
        TotalMode::Estimate if page.total.is_none() => page.total = finder.estimate(&asked)?,
        TotalMode::Accurate if page.total.is_none() => {
            page.total = finder.count(&asked)?;
            if page.total.is_none() {
                let text = "there are more matches than this server counts";
                page.issues.push(Issue::warning(IssueCode::SearchIncomplete, text));
            }
        }
        TotalMode::Accurate | TotalMode::Estimate => {}
    }
    finder.include(&asked, &mut page)?;
    page.end_with(built_ins, wanted.count);
    page.issues.0.extend(finder.notes().0);
    Ok(answer::render(&base_url, &asked, page))
}

/// A refusal of what costs too much.
fn too_costly(what: &str) -> Error {
    let text = format!(
        "this server would have to look at too many resources to {what}; narrow the search down"
    );
    Error::of(Kind::TooCostly, IssueCode::SearchTooCostly, text)
}

/// The name of a resource type that can be searched.
fn type_named(version: FhirVersion, name: &str) -> Result<&'static str, Error> {
    let definitions = Definitions::of(version);
    let is_searchable = definitions.is_resource(name) && name != "SubscriptionStatus";
    let named = definitions.type_named(name).filter(|_| is_searchable);
    named.map(|definition| definition.name).ok_or_else(|| {
        let text = format!("FHIR {} defines no such resource type", version.full());
        Error::of(Kind::NotFound, IssueCode::UnknownPath, text)
    })
}

/// Waits until the index has seen all that was visible when this was called.
pub(crate) async fn wait_for_index(shared: &Arc<Shared>, wait_max: Duration) -> Result<(), Error> {
    let head = shared.head().map_or(0, Position::get);
    let mut indexed = shared.indexed.subscribe();
    if *indexed.borrow() < head {
        shared.index_wanted.notify_one();
    }
    let reached = indexed.wait_for(|position| *position >= head);
    match tokio::time::timeout(wait_max, reached).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Error::unavailable("the search index is behind; try again")),
    }
}
