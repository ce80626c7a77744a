//! The Bundle that answers a search, and its entity tag.

use std::sync::Arc;

use cresset_fhir::{Part, SearchEntry, SearchMode, SearchPage, json, render_searchset, subset};
use cresset_model::{Change, Issues};
use sha2::{Digest as _, Sha256};

use super::place::Place;
use super::request::Asked;
use super::wanted::CURSOR;
use crate::bases::version_of;

/// Bytes of an entity tag.
const TAG_BYTES: usize = 12;

/// A searchset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchAnswer {
    /// The Bundle.
    pub body: Vec<u8>,
    /// Its weak entity tag: another one if anything is found otherwise.
    pub etag: String,
}

/// What a page of a search holds.
#[derive(Default)]
pub(super) struct Page {
    pub(super) matches: Vec<Arc<Change>>,
    pub(super) included: Vec<Arc<Change>>,
    pub(super) next: Option<Place>,
    pub(super) total: Option<u64>,
    pub(super) issues: Issues,
}

impl Page {
    pub(super) fn of_total(total: u64) -> Self {
        Self { total: Some(total), ..Self::default() }
    }
}

/// Writes the answer.
pub(super) fn render(base_url: &str, asked: &Asked, mut page: Page) -> SearchAnswer {
    page.issues.0.splice(0..0, asked.warnings.0.iter().cloned());
    let url = |place: Option<&Place>| url(base_url, asked, place);
    let self_url = url(asked.wanted.place.as_ref());
    let next_url = page.next.as_ref().map(|next| url(Some(next)));
    let is_paged = asked.wanted.place.is_some() || next_url.is_some();
    let first_url = is_paged.then(|| url(None));
    let wanted = &asked.wanted;
    let matches = page.matches.iter().map(|change| {
        let part = wanted.elements.as_ref().or(wanted.summary.as_ref());
        (change, shown(change, part), SearchMode::Match)
    });
    let included = page
        .included
        .iter()
        .map(|change| (change, shown(change, wanted.summary.as_ref()), SearchMode::Include));
    let entries: Vec<_> = matches.chain(included).collect();
    let etag = etag(&self_url, next_url.as_deref(), &page);
    let entries: Vec<SearchEntry<'_>> = entries
        .iter()
        .map(|(change, shown, mode)| SearchEntry {
            resource_type: &change.key.resource_type,
            id: &change.key.id,
            body: shown.as_deref().unwrap_or(&change.body),
            mode: *mode,
        })
        .collect();
    let body = render_searchset(&SearchPage {
        base_url,
        self_url: &self_url,
        first_url: first_url.as_deref(),
        next_url: next_url.as_deref(),
        total: page.total,
        entries: &entries,
        issues: (!page.issues.0.is_empty()).then_some(&page.issues),
    });
    SearchAnswer { body, etag }
}

/// The part of a resource that is wanted; none if that is all of it.
fn shown(change: &Change, part: Option<&Part>) -> Option<Vec<u8>> {
    let part = part?;
    let version = version_of(change.key.base)?;
    let value = json::parse(&change.body).ok()?;
    Some(subset(version, value, part))
}

fn url(base_url: &str, asked: &Asked, place: Option<&Place>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &asked.used {
        query.append_pair(name, value);
    }
    if let Some(place) = place {
        query.append_pair(CURSOR, &place.to_string());
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base_url}{}{mark}{query}", asked.path)
}

/// Names what was found: versions of resources, and what is said beside them.
fn etag(self_url: &str, next_url: Option<&str>, page: &Page) -> String {
    let mut hash = Sha256::new();
    for text in [self_url, next_url.unwrap_or_default()] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.update(page.total.unwrap_or(u64::MAX).to_be_bytes());
    for changes in [&page.matches, &page.included] {
        hash.update((changes.len() as u64).to_be_bytes());
        // No two versions have one position.
        changes.iter().for_each(|change| hash.update(change.position.get().to_be_bytes()));
    }
    hash.update(page.issues.to_string());
    let digest: [u8; 32] = hash.finalize().into();
    let hex: String = digest[..TAG_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{hex}\"")
}
