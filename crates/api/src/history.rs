//! Histories of an instance, a type and a base.

use axum::extract::{Path, State};
use axum::response::Response;
use cresset_definitions::FhirVersion;
use cresset_fhir::{HistoryEntry, HistoryPage, parse_instant, render_history};
use cresset_model::IssueCode;
use cresset_node::{Error, HISTORY_PAGE_MAX, HistoryOf, HistoryQuery, Kind};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::context::{Answer, Context, Request, version_of};
use crate::{negotiate, respond};

/// Versions on a page when the client names no `_count`.
const COUNT_DEFAULT: usize = 100;

/// `GET [base]/_history`
pub(crate) async fn of_base(
    State(context): State<Context>,
    Path(version): Path<String>,
    request: Request,
) -> Answer<Response> {
    history(&context, version_of(&version)?, HistoryOf::Base, &request).await
}

/// `GET [base]/[type]/_history`
pub(crate) async fn of_type(
    State(context): State<Context>,
    Path((version, resource_type)): Path<(String, String)>,
    request: Request,
) -> Answer<Response> {
    history(&context, version_of(&version)?, HistoryOf::Type(&resource_type), &request).await
}

/// `GET [base]/[type]/[id]/_history`
pub(crate) async fn of_instance(
    State(context): State<Context>,
    Path((version, resource_type, id)): Path<(String, String, String)>,
    request: Request,
) -> Answer<Response> {
    let of = HistoryOf::Instance(&resource_type, &id);
    history(&context, version_of(&version)?, of, &request).await
}

async fn history(
    context: &Context,
    version: FhirVersion,
    of: HistoryOf<'_>,
    request: &Request,
) -> Answer<Response> {
    let caller = request.caller(context, version)?;
    let parameters = request.parameters();
    let query = parse_query(&parameters, negotiate::is_lenient(&request.headers))?;
    let found = context.node.history(&caller, version, of, query).await?;
    let base_url = context.node.base_url_of(version);
    let path = match of {
        HistoryOf::Base => format!("{base_url}/_history"),
        HistoryOf::Instance(resource_type, id) => {
            format!("{base_url}/{resource_type}/{id}/_history")
        }
        HistoryOf::Type(resource_type) => format!("{base_url}/{resource_type}/_history"),
    };
    let url = |before: Option<u64>| {
        let mut link = url::form_urlencoded::Serializer::new(String::new());
        link.append_pair("_count", &query.count.to_string());
        for (name, value) in &parameters {
            if matches!(name.as_str(), "_at" | "_since") {
                link.append_pair(name, value);
            }
        }
        if let Some(before) = before {
            link.append_pair("_before", &before.to_string());
        }
        format!("{path}?{}", link.finish())
    };
    let entries: Vec<HistoryEntry<'_>> = found
        .changes
        .iter()
        .map(|change| HistoryEntry {
            resource_type: &change.key.resource_type,
            id: &change.key.id,
            version: change.version,
            interaction: change.interaction,
            at: change.at,
            body: &change.body,
        })
        .collect();
    let next_url = found.before.map(|before| url(Some(before)));
    let bundle = render_history(&HistoryPage {
        base_url: &base_url,
        self_url: &url(query.before),
        next_url: next_url.as_deref(),
        total: found.total,
        entries: &entries,
    });
    Ok(respond::json(version, bundle))
}

/// What is asked for; a lenient client has parameters ignored that a history does not know.
fn parse_query(parameters: &[(String, String)], is_lenient: bool) -> Result<HistoryQuery, Error> {
    let mut query = HistoryQuery { count: COUNT_DEFAULT, ..HistoryQuery::default() };
    for (name, value) in parameters {
        let bad = || {
            let name: String = name.chars().take(64).collect();
            let text = format!("`{name}` is not a parameter of a history, or has a bad value");
            Error::of(Kind::Malformed, IssueCode::InvalidParameter, text)
        };
        match name.as_str() {
            "_count" => query.count = parse_count(value).ok_or_else(bad)?,
            "_before" => query.before = Some(value.parse().map_err(|_| bad())?),
            "_since" => query.since = Some(span_of(value).ok_or_else(bad)?.0),
            "_at" => query.at = Some(span_of(value).ok_or_else(bad)?),
            "_format" | "_pretty" => {}
            _ if is_lenient => {}
            _ => return Err(bad()),
        }
    }
    if query.at.is_some() && query.since.is_some() {
        let text = "`_at` and `_since` cannot be combined";
        return Err(Error::of(Kind::Malformed, IssueCode::InvalidParameter, text));
    }
    Ok(query)
}

/// A number of digits, however many; more than fit are as many as there may be.
fn parse_count(value: &str) -> Option<usize> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| value.parse().unwrap_or(usize::MAX).clamp(1, HISTORY_PAGE_MAX))
}

/// The first and the last millisecond of a dateTime, in UTC where it names no time zone.
fn span_of(value: &str) -> Option<(Timestamp, Timestamp)> {
    // In a query string a plus sign may have become a space.
    let value = value.replace(' ', "+");
    if value.contains('T') {
        let from = parse_instant(&value)?;
        let width = if value.contains('.') { 0 } else { 999 };
        return Some((from, from.checked_add(Span::new().milliseconds(width)).ok()?));
    }
    let mut parts = value.split('-');
    let year: i16 = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let (month, day) = (parts.next(), parts.next());
    let number = |part: Option<&str>| part.map_or(Some(1), |part| part.parse::<i8>().ok());
    let first = Date::new(year, number(month)?, number(day)?).ok()?;
    let width = match (month, day) {
        (None, _) => Span::new().years(1),
        (Some(_), None) => Span::new().months(1),
        (Some(_), Some(_)) => Span::new().days(1),
    };
    let at = |date: Date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok();
    let end = at(first.checked_add(width).ok()?)?.checked_sub(Span::new().milliseconds(1)).ok()?;
    parts.next().is_none().then_some((at(first)?, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_history_does_not_know_is_refused_or_ignored() {
        let parameters = |text: &str| cresset_node::SearchRequest::parse(text).parameters;
        let unknown = parameters("_count=7&_sort=-_lastUpdated");
        assert!(parse_query(&unknown, false).is_err());
        assert_eq!(parse_query(&unknown, true).unwrap().count, 7);
        for bad in ["_count=x", "_since=yesterday", "_at=2024&_since=2024"] {
            assert!(parse_query(&parameters(bad), true).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_date_time_spans_what_its_digits_leave_open() {
        for (text, first, last) in [
            ("2024", "2024-01-01T00:00:00Z", "2024-12-31T23:59:59.999Z"),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-02-29T23:59:59.999Z"),
            ("2024-02-29T12:00:00+02:00", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00.999Z"),
            ("2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00.5Z"),
        ] {
            let wanted = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(span_of(text), Some(wanted), "{text}");
        }
        for text in ["", "24", "2024-13", "2024-02-30", "2024-02-29-01", "yesterday", "2024-1-1T"] {
            assert_eq!(span_of(text), None, "{text}");
        }
    }
}
