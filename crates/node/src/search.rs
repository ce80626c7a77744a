//! Search: by the parameters that the index on disk holds.
//!
//! The index narrows down, `search` decides on the resource itself, so REST search, triggers and
//! filters have one meaning. A search sees everything that was written before it arrived: it
//! waits for the index to get there, for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use cresset_definitions::{Definitions, FhirVersion};
use cresset_fhir::{SearchEntry, SearchMode, SearchPage, json, render_searchset};
use cresset_model::{Change, Issue, IssueCode, Issues, Position, ResourceType, split_modifier};
use cresset_search::{Criterion, Lookup, Parameters, ResourceValues, Scope};
use cresset_store::{Page, Query, SearchCursor};

use crate::bases::base_of;
use crate::caller::Caller;
use crate::error::{Error, Kind};
use crate::indexer::is_searchable;
use crate::node::Node;
use crate::resources::require_read;
use crate::rows;
use crate::shared::Shared;

/// Calls of the index for one page; each looks at a bounded number of documents.
const ROUNDS_MAX: usize = 64;
/// Resources taken from the index in one call, so that a page can end when it is large.
const ROUND_COUNT_MAX: usize = 32;
/// Bytes of resources read in one call, apart from a single larger one.
const ROUND_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Calls of the index to count all that match.
const COUNT_ROUNDS_MAX: usize = 640;
/// Bytes of resources after which a page ends.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Search parameters in one request.
const PARAMETERS_MAX: usize = 100;
/// The parameter that carries the place of the next page.
const CURSOR: &str = "_cursor";
/// Parameters about the form of the answer that every request may carry.
const FORM: [&str; 2] = ["_format", "_pretty"];

/// A search as it came in.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    /// Names and values, decoded, in order.
    pub parameters: Vec<(String, String)>,
    /// Ignore parameters that are not known instead of refusing (`Prefer: handling=lenient`).
    pub lenient: bool,
}

impl SearchRequest {
    /// Reads a query string or a form body; a plus sign is a space there.
    pub fn parse(query: &str) -> Self {
        let parameters = url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self { parameters, lenient: false }
    }
}

/// A search as it is understood.
struct Plan {
    criteria: Vec<Criterion>,
    count: usize,
    after: Option<SearchCursor>,
    /// What the self link says.
    used: Vec<(String, String)>,
    warnings: Issues,
}

impl Node {
    /// Searches the resources of a type; gives a searchset.
    ///
    /// # Errors
    /// `Malformed` for a parameter that is not known or a value that cannot be read;
    /// `Unavailable` if the index is too far behind.
    pub async fn search(
        &self,
        caller: &Caller,
        version: FhirVersion,
        resource_type: &str,
        request: &SearchRequest,
    ) -> Result<Vec<u8>, Error> {
        if !Definitions::of(version).is_resource(resource_type)
            || resource_type == "SubscriptionStatus"
        {
            let text = format!("FHIR {} defines no such resource type", version.full());
            return Err(Error::of(Kind::NotFound, IssueCode::UnknownPath, text));
        }
        require_read(caller, resource_type)?;
        let base_url = self.shared.base_url(version);
        let parameters = Parameters::of(version);
        let scope = Scope { parameters, base_url: &base_url };
        let plan = self.plan(&scope, resource_type, request)?;
        wait_for_index(&self.shared, self.shared.config.search.wait_max).await?;
        let type_name = ResourceType::new(resource_type).map_err(Error::internal)?;
        let mut query = Query {
            base: base_of(version),
            resource_type: type_name,
            clauses: plan.criteria.iter().filter_map(rows::clause).collect(),
            after: plan.after,
            limit: plan.count,
            total: false,
        };
        if plan.count == 0 {
            let total = self.count(caller, &scope, &plan.criteria, query).await?;
            return Ok(render(&base_url, resource_type, &plan, &[], None, total));
        }
        let mut found: Vec<Arc<Change>> = Vec::new();
        let mut next = None;
        for _ in 0..ROUNDS_MAX {
            query.limit = (plan.count - found.len()).min(ROUND_COUNT_MAX);
            let (changes, after) = self.page(query.clone()).await?;
            for change in changes {
                if self.is_match(caller, &scope, &plan.criteria, &change) {
                    found.push(change);
                }
            }
            next = after;
            query.after = after;
            let bytes: usize = found.iter().map(|change| change.body.len()).sum();
            if next.is_none() || found.len() >= plan.count || bytes > PAGE_BYTES_MAX {
                break;
            }
        }
        // The total is known when everything is on this one page.
        let whole = plan.after.is_none() && next.is_none();
        let total = whole.then_some(found.len() as u64);
        Ok(render(&base_url, resource_type, &plan, &found, next, total))
    }

    /// How many resources match, for `_count=0`; none if that would take too long to find out.
    async fn count(
        &self,
        caller: &Caller,
        scope: &Scope<'_>,
        criteria: &[Criterion],
        mut query: Query,
    ) -> Result<Option<u64>, Error> {
        let mut total = 0;
        query.limit = ROUND_COUNT_MAX;
        for _ in 0..COUNT_ROUNDS_MAX {
            let (changes, after) = self.page(query.clone()).await?;
            let matches =
                changes.iter().filter(|change| self.is_match(caller, scope, criteria, change));
            total += matches.count() as u64;
            if after.is_none() {
                return Ok(Some(total));
            }
            query.after = after;
        }
        Ok(None)
    }

    fn plan(
        &self,
        scope: &Scope<'_>,
        resource_type: &str,
        request: &SearchRequest,
    ) -> Result<Plan, Error> {
        let limits = &self.shared.config.limits;
        if request.parameters.len() > PARAMETERS_MAX {
            let text = format!("a search may have at most {PARAMETERS_MAX} parameters");
            return Err(Error::of(Kind::Malformed, IssueCode::UnsupportedSearch, text));
        }
        let mut plan = Plan {
            criteria: Vec::new(),
            count: limits.search_count_default.min(limits.search_count_max),
            after: None,
            used: Vec::new(),
            warnings: Issues::default(),
        };
        let mut issues = Issues::default();
        for (name, value) in &request.parameters {
            if FORM.contains(&name.as_str()) {
                continue;
            }
            let read = match name.as_str() {
                "_count" => parse_count(value, limits.search_count_max).map(|count| {
                    plan.count = count;
                }),
                CURSOR => value.parse().map(|cursor| plan.after = Some(cursor)).map_err(|_| {
                    let text = "this is no place in a search of this server";
                    Issue::error(IssueCode::InvalidParameter, text).into()
                }),
                _ => self
                    .criterion(scope, resource_type, name, value)
                    .map(|criterion| plan.criteria.push(criterion)),
            };
            match read {
                Ok(()) if name == CURSOR => {}
                Ok(()) => plan.used.push((name.clone(), value.clone())),
                Err(found) => issues.0.extend(found.0.into_iter().map(|one: Issue| {
                    if one.expression.is_none() { one.at(name.clone()) } else { one }
                })),
            }
        }
        let ignorable = |issue: &Issue| {
            request.lenient
                && matches!(
                    issue.code,
                    IssueCode::UnknownSearchParameter | IssueCode::UnsupportedSearch
                )
        };
        if issues.0.iter().all(ignorable) {
            plan.warnings = Issues(
                issues
                    .0
                    .into_iter()
                    .map(|issue| Issue { severity: cresset_model::Severity::Warning, ..issue })
                    .collect(),
            );
            return Ok(plan);
        }
        Err(Error::new(Kind::Malformed, issues))
    }

    fn criterion(
        &self,
        scope: &Scope<'_>,
        resource_type: &str,
        name: &str,
        value: &str,
    ) -> Result<Criterion, Issues> {
        let (code, modifier) = split_modifier(name);
        let criterion = Criterion::new(scope, resource_type, code, modifier, None, value)?;
        if criterion.needs_others() {
            let text = "chains, `_has` and membership in sets are for topics and filters; a search \
                        over REST cannot use them";
            return Err(Issue::error(IssueCode::UnsupportedSearch, text).into());
        }
        let code = criterion.parameter().code();
        if is_searchable(&self.shared.config.search.index, resource_type, code) {
            return Ok(criterion);
        }
        let text = format!("`{code}` is not among the search parameters that this server indexes");
        Err(Issue::error(IssueCode::UnsupportedSearch, text).into())
    }

    /// One call of the index, with the bodies of what it found.
    async fn page(&self, query: Query) -> Result<(Vec<Arc<Change>>, Option<SearchCursor>), Error> {
        let read = self.shared.read(move |store| {
            let mut query = query;
            loop {
                let Page { found, next, .. } = store.search(&query)?;
                let mut changes = Vec::with_capacity(found.len());
                let (mut looked_at, mut bytes) = (0, 0);
                for one in &found {
                    let change = store.change(one.position)?;
                    looked_at += 1;
                    bytes += change.as_ref().map_or(0, |change| change.body.len());
                    changes.extend(change.map(Arc::new));
                    if bytes > ROUND_BYTES_MAX {
                        break;
                    }
                }
                if looked_at == found.len() {
                    return Ok((changes, next));
                }
                // Too large for one call: the same again with only as many, for their cursor.
                query.limit = looked_at;
            }
        });
        read.await
    }

    fn is_match(
        &self,
        caller: &Caller,
        scope: &Scope<'_>,
        criteria: &[Criterion],
        change: &Change,
    ) -> bool {
        let resource_type = change.key.resource_type.as_str();
        if resource_type == "Subscription" {
            let live = self.shared.live.find(change.key.base, &change.key.id);
            if !live.is_some_and(|live| caller.sees(&live.owner)) {
                return false;
            }
        }
        let Ok(value) = json::parse(&change.body) else { return false };
        let values = ResourceValues::new(*scope, resource_type, &value);
        criteria
            .iter()
            .all(|criterion| criterion.matches(&values, &Lookup::new(*scope)).unwrap_or(false))
    }
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

fn parse_count(value: &str, max: usize) -> Result<usize, Issues> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        let text = "`_count` must be a number, 0 or more";
        return Err(Issue::error(IssueCode::InvalidParameter, text).into());
    }
    // More digits than fit is more than the most there is.
    Ok(value.parse().unwrap_or(usize::MAX).min(max))
}

fn render(
    base_url: &str,
    resource_type: &str,
    plan: &Plan,
    found: &[Arc<Change>],
    next: Option<SearchCursor>,
    total: Option<u64>,
) -> Vec<u8> {
    let url = |cursor: Option<SearchCursor>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &plan.used {
            query.append_pair(name, value);
        }
        if let Some(cursor) = cursor {
            query.append_pair(CURSOR, &cursor.to_string());
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{base_url}/{resource_type}{mark}{query}")
    };
    let entries: Vec<SearchEntry<'_>> = found
        .iter()
        .map(|change| SearchEntry {
            resource_type: &change.key.resource_type,
            id: &change.key.id,
            body: &change.body,
            mode: SearchMode::Match,
        })
        .collect();
    let next_url = next.map(|cursor| url(Some(cursor)));
    render_searchset(&SearchPage {
        base_url,
        self_url: &url(plan.after),
        next_url: next_url.as_deref(),
        total,
        entries: &entries,
        issues: (!plan.warnings.0.is_empty()).then_some(&plan.warnings),
    })
}
