//! Bundles that answer requests: search results, histories, the answers of batch and transaction.

use cresset_model::{Interaction, Issues, ResourceId, ResourceType, VersionId};
use jiff::Timestamp;

use crate::instant::instant;
use crate::json::{ArrayWriter, ObjectWriter, write_object};
use crate::outcome::render_outcome;

/// Why a resource is in a page of search results (`Bundle.entry.search.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMode {
    /// It goes with a match.
    Include,
    /// It was asked for.
    Match,
}

/// One resource of a page.
#[derive(Debug, Clone, Copy)]
pub struct SearchEntry<'p> {
    /// Type.
    pub resource_type: &'p ResourceType,
    /// Id.
    pub id: &'p ResourceId,
    /// The stored bytes.
    pub body: &'p [u8],
    /// Why it is here.
    pub mode: SearchMode,
}

/// One page of search results.
#[derive(Debug, Clone, Copy)]
pub struct SearchPage<'p> {
    /// URL of the base, without a slash at the end.
    pub base_url: &'p str,
    /// What was asked, as it was understood.
    pub self_url: &'p str,
    /// Where the first page is, if this may be another one.
    pub first_url: Option<&'p str>,
    /// Where the next page is, if there is one.
    pub next_url: Option<&'p str>,
    /// How many matches there are, if counted.
    pub total: Option<u64>,
    /// The resources.
    pub entries: &'p [SearchEntry<'p>],
    /// What to tell of the search, such as a parameter that was ignored.
    pub issues: Option<&'p Issues>,
}

/// Full URL of the OperationOutcome in a page, which R5 demands (bdl-15). It is no resource that
/// could be read, so the URL need only differ from all others in the page.
const OUTCOME_FULL_URL: &str = "urn:uuid:6f7574c0-6d65-4000-8000-000000000000";

/// Writes a searchset.
pub fn render_searchset(page: &SearchPage<'_>) -> Vec<u8> {
    let size = page.entries.iter().map(|entry| entry.body.len() + 256).sum();
    let mut out = Vec::with_capacity(size);
    write_object(&mut out, |o| {
        o.string("resourceType", "Bundle");
        o.string("type", "searchset");
        if let Some(total) = page.total {
            o.number("total", total);
        }
        links(o, page.self_url, page.first_url, page.next_url);
        o.array("entry", |a| {
            for entry in page.entries {
                a.object(|o| {
                    let SearchEntry { resource_type, id, .. } = entry;
                    o.string("fullUrl", &format!("{}/{resource_type}/{id}", page.base_url));
                    o.raw("resource", entry.body);
                    let mode = match entry.mode {
                        SearchMode::Include => "include",
                        SearchMode::Match => "match",
                    };
                    o.object("search", |o| o.string("mode", mode));
                });
            }
            if let Some(issues) = page.issues {
                a.object(|o| {
                    o.string("fullUrl", OUTCOME_FULL_URL);
                    o.raw("resource", &render_outcome(issues));
                    o.object("search", |o| o.string("mode", "outcome"));
                });
            }
        });
    });
    out
}

/// One version in a history.
#[derive(Debug, Clone, Copy)]
pub struct HistoryEntry<'p> {
    /// Type.
    pub resource_type: &'p ResourceType,
    /// Id.
    pub id: &'p ResourceId,
    /// The version.
    pub version: VersionId,
    /// What made it.
    pub interaction: Interaction,
    /// When.
    pub at: Timestamp,
    /// The stored bytes; empty for a delete.
    pub body: &'p [u8],
}

/// One page of a history, newest first.
#[derive(Debug, Clone, Copy)]
pub struct HistoryPage<'p> {
    /// URL of the base, without a slash at the end.
    pub base_url: &'p str,
    /// What was asked.
    pub self_url: &'p str,
    /// Where the next page is, if there is one.
    pub next_url: Option<&'p str>,
    /// How many versions there are, if counted.
    pub total: Option<u64>,
    /// The versions.
    pub entries: &'p [HistoryEntry<'p>],
}

/// Writes a history: request and response on every entry (bdl-3, bdl-4).
pub fn render_history(page: &HistoryPage<'_>) -> Vec<u8> {
    let size = page.entries.iter().map(|entry| entry.body.len() + 512).sum();
    let mut out = Vec::with_capacity(size);
    write_object(&mut out, |o| {
        o.string("resourceType", "Bundle");
        o.string("type", "history");
        if let Some(total) = page.total {
            o.number("total", total);
        }
        links(o, page.self_url, None, page.next_url);
        o.array("entry", |a| {
            for entry in page.entries {
                a.object(|o| history_entry(page.base_url, entry, o));
            }
        });
    });
    out
}

fn history_entry(base_url: &str, entry: &HistoryEntry<'_>, o: &mut ObjectWriter<'_>) {
    let instance = format!("{}/{}", entry.resource_type, entry.id);
    let (method, url, status) = match entry.interaction {
        // An id that the client chose came by PUT; a history does not tell them apart.
        Interaction::Create => ("POST", entry.resource_type.as_str(), "201"),
        Interaction::Delete => ("DELETE", instance.as_str(), "204"),
        Interaction::Update => ("PUT", instance.as_str(), "200"),
    };
    o.string("fullUrl", &format!("{base_url}/{instance}"));
    if entry.interaction != Interaction::Delete {
        o.raw("resource", entry.body);
    }
    o.object("request", |o| {
        o.string("method", method);
        o.string("url", url);
    });
    o.object("response", |o| {
        o.string("status", status);
        o.string("etag", &etag(entry.version));
        o.string("lastModified", &instant(entry.at));
    });
}

/// Which request a Bundle answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    /// `batch`: every entry for itself.
    Batch,
    /// `transaction`: all or nothing.
    Transaction,
}

/// The answer to one entry.
#[derive(Debug, Clone, Default)]
pub struct AnswerEntry {
    /// HTTP status.
    pub status: u16,
    /// Where the resource's version is.
    pub location: Option<String>,
    /// The version, if there is one.
    pub version: Option<VersionId>,
    /// When that version came to be.
    pub last_modified: Option<Timestamp>,
    /// The resource, where asked for.
    pub resource: Option<Vec<u8>>,
    /// What is wrong or to tell.
    pub outcome: Option<Issues>,
}

/// Writes the answer to a batch or transaction, entries in the order of the request.
pub fn render_batch_response(kind: BundleKind, entries: &[AnswerEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "Bundle");
        o.string(
            "type",
            match kind {
                BundleKind::Batch => "batch-response",
                BundleKind::Transaction => "transaction-response",
            },
        );
        o.array("entry", |a| {
            for entry in entries {
                answer_entry(entry, a);
            }
        });
    });
    out
}

fn answer_entry(entry: &AnswerEntry, a: &mut ArrayWriter<'_>) {
    a.object(|o| {
        if let Some(resource) = &entry.resource {
            o.raw("resource", resource);
        }
        o.object("response", |o| {
            o.string("status", &entry.status.to_string());
            o.optional("location", entry.location.as_deref());
            o.optional("etag", entry.version.map(etag).as_deref());
            o.optional("lastModified", entry.last_modified.map(instant).as_deref());
            if let Some(outcome) = &entry.outcome {
                o.raw("outcome", &render_outcome(outcome));
            }
        });
    });
}

/// The weak entity tag of a version: `W/"1"`.
pub fn etag(version: VersionId) -> String {
    format!("W/\"{version}\"")
}

fn links(
    o: &mut ObjectWriter<'_>,
    self_url: &str,
    first_url: Option<&str>,
    next_url: Option<&str>,
) {
    o.array("link", |a| {
        for (relation, url) in [("self", Some(self_url)), ("first", first_url), ("next", next_url)]
        {
            if let Some(url) = url {
                a.object(|o| {
                    o.string("relation", relation);
                    o.string("url", url);
                });
            }
        }
    });
}
