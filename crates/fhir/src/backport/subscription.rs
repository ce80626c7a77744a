//! Reads a Subscription of R4 or R4B with the backport extensions.

use cresset_definitions::{Definitions, FhirVersion};
use cresset_model::{
    Canonical, ChannelType, Filter, Header, Issue, IssueCode, Issues, PayloadContent, Subscription,
    SubscriptionStatus, is_criteria_topic,
};
use serde_json::Value;

use super::classic;
use crate::channel::{
    HEADERS_MAX, channel_type, channel_type_of_coding, check_endpoint, parse_header,
    parse_positive, parse_seconds,
};
use crate::element::{Element, invalid, missing};
use crate::filter::{FILTERS_MAX, parse_filter_criteria};
use crate::mime::parse_mime;
use crate::subscription::{
    ASSUMED_CHANNEL, KnownExtension, bound, check_extensions, check_members, only, parse_content,
    parse_end, parse_retry_period, parse_status, take,
};
use crate::urls;

const KNOWN: &[KnownExtension] = &[
    KnownExtension { url: urls::FILTER_CRITERIA, place: "Subscription.criteria" },
    KnownExtension { url: urls::HEARTBEAT_PERIOD, place: "Subscription.channel" },
    KnownExtension { url: urls::TIMEOUT, place: "Subscription.channel" },
    KnownExtension { url: urls::MAX_COUNT, place: "Subscription.channel" },
    KnownExtension { url: urls::CHANNEL_TYPE, place: "Subscription.channel.type" },
    KnownExtension { url: urls::PAYLOAD_CONTENT, place: "Subscription.channel.payload" },
];

/// Whether a Subscription is topic-based, or a classic one with a query as criteria (RQ-SB-02).
pub(crate) fn is_topic_based(value: &Value) -> bool {
    let has = |pointer: &str, url: &str| {
        let extensions = value.pointer(pointer).and_then(Value::as_array);
        extensions.is_some_and(|extensions| {
            extensions.iter().any(|extension| extension.get("url").is_some_and(|it| it == url))
        })
    };
    let profile = value.pointer("/meta/profile").and_then(Value::as_array);
    let criteria = value.get("criteria").and_then(Value::as_str).unwrap_or_default();
    has("/_criteria/extension", urls::FILTER_CRITERIA)
        || has("/channel/_payload/extension", urls::PAYLOAD_CONTENT)
        || profile.is_some_and(|all| all.iter().any(|it| it == urls::PROFILE_SUBSCRIPTION))
        || is_absolute(criteria)
}

/// Reads the Subscription; all issues are collected.
pub(crate) fn parse_subscription(
    version: FhirVersion,
    value: &Value,
) -> Result<(Subscription, Issues), Issues> {
    if !is_topic_based(value) {
        return classic::parse(version, value);
    }
    let root = Element::resource(value, "Subscription")?;
    let definitions = Definitions::of(version);
    let mut issues = Issues::default();
    check_members(definitions, "Subscription", &root, &mut issues);
    check_extensions(&root, KNOWN, &mut issues);
    let status = parse_status(&root, &mut issues, is_status_here);
    root.required("reason", &mut issues);
    let topic = parse_topic_canonical(&root, &mut issues);
    let end = parse_end(&root, &mut issues);
    let filters = parse_filters(definitions, &root, &mut issues);
    let retry_period = parse_retry_period(&root, &mut issues);
    warn_of_error(&root, &mut issues);
    if !root.members.contains_key("channel") {
        issues.push(missing("channel").at(root.at("channel")));
    }
    let channel = root.child("channel", &mut issues);
    let channel = channel.map(|channel| {
        check_members(definitions, "Subscription.channel", &channel, &mut issues);
        Channel::parse(version, &channel, &mut issues)
    });
    let (Some(status), Some(topic), Some(channel)) = (status, topic, channel) else {
        return Err(issues);
    };
    let Channel { channel_type: Some(channel_type), content: Some(content), .. } = channel else {
        return Err(issues);
    };
    issues.into_result(Subscription {
        status,
        topic,
        end,
        filters,
        channel_type,
        endpoint: channel.endpoint,
        headers: channel.headers,
        heartbeat_period: channel.heartbeat_period,
        timeout: channel.timeout,
        max_count: channel.max_count,
        retry_period,
        mime_type: channel.mime_type,
        content,
    })
}

/// R4 and R4B have no `entered-in-error`.
pub(super) fn is_status_here(status: SubscriptionStatus) -> bool {
    match status {
        SubscriptionStatus::Active
        | SubscriptionStatus::Error
        | SubscriptionStatus::Off
        | SubscriptionStatus::Requested => true,
        SubscriptionStatus::EnteredInError => false,
    }
}

/// `criteria` is a canonical, never a query (RQ-SB-01).
fn parse_topic_canonical(root: &Element<'_>, issues: &mut Issues) -> Option<Canonical> {
    let criteria = root.required("criteria", issues)?;
    // The topics of criteria are not to be subscribed to by their names.
    let is_url = is_absolute(criteria) && !criteria.contains(char::is_whitespace);
    if is_url && !is_criteria_topic(criteria) {
        return Some(Canonical::new(criteria));
    }
    let text = "criteria must be the canonical URL of a topic: what says how topics are subscribed to \
                has no place beside a search";
    issues.push(invalid(text).at(root.at("criteria")));
    None
}

fn is_absolute(criteria: &str) -> bool {
    ["http://", "https://", "urn:"].iter().any(|scheme| criteria.starts_with(scheme))
}

fn parse_filters(
    definitions: &Definitions,
    root: &Element<'_>,
    issues: &mut Issues,
) -> Vec<Filter> {
    let mut filters = Vec::new();
    for extension in root.extensions_of("criteria", issues) {
        if extension.url != urls::FILTER_CRITERIA {
            continue;
        }
        if !extension.element.members.contains_key("valueString") {
            issues.push(missing("valueString").at(extension.element.at("value")));
        }
        if let Some(text) = extension.element.string("valueString", issues) {
            let path = String::from(extension.element.at("value"));
            parse_filter_criteria(definitions, text, &path, &mut filters, issues);
        }
    }
    if filters.len() > FILTERS_MAX {
        let text = format!("there are more than {FILTERS_MAX} filters");
        issues.push(Issue::error(IssueCode::OutOfBounds, text).at(root.at("criteria")));
        filters.clear();
    }
    filters
}

/// Only the server writes `error` (RQ-SB-16).
pub(super) fn warn_of_error(root: &Element<'_>, issues: &mut Issues) {
    if root.members.contains_key("error") {
        let text = "only the server writes the error of a Subscription; this one was ignored";
        issues.push(Issue::warning(IssueCode::StatusRefused, text).at(root.at("error")));
    }
}

#[derive(Default)]
struct Channel {
    channel_type: Option<ChannelType>,
    endpoint: Option<String>,
    headers: Vec<Header>,
    heartbeat_period: Option<std::time::Duration>,
    timeout: Option<std::time::Duration>,
    max_count: Option<std::num::NonZeroU32>,
    mime_type: Option<cresset_model::MimeType>,
    content: Option<PayloadContent>,
}

impl Channel {
    fn parse(version: FhirVersion, channel: &Element<'_>, issues: &mut Issues) -> Self {
        let channel_type = parse_channel_type(channel, issues);
        let assumed = channel_type.clone().unwrap_or(ASSUMED_CHANNEL);
        let endpoint = channel.string("endpoint", issues);
        if channel_type.is_some() {
            take(check_endpoint(&assumed, endpoint), channel.at("endpoint"), issues);
        }
        let mime_type = channel.required("payload", issues).and_then(|text| {
            take(parse_mime(version, channel_type.as_ref(), text), channel.at("payload"), issues)
        });
        let mut parsed = Self {
            channel_type,
            endpoint: endpoint.map(str::to_owned),
            headers: parse_headers(&assumed, channel, issues),
            mime_type,
            content: parse_payload_content(channel, issues),
            ..Self::default()
        };
        parsed.parse_bounds(channel, issues);
        parsed
    }

    fn parse_bounds(&mut self, channel: &Element<'_>, issues: &mut Issues) {
        let extensions = channel.extensions(issues);
        if let Some((value, path)) = bound(&extensions, urls::HEARTBEAT_PERIOD, issues) {
            self.heartbeat_period = take(parse_seconds(value), &path, issues);
        }
        if let Some((value, path)) = bound(&extensions, urls::TIMEOUT, issues) {
            self.timeout = take(parse_seconds(value), &path, issues);
        }
        if let Some((value, path)) = bound(&extensions, urls::MAX_COUNT, issues) {
            self.max_count = take(parse_positive(value), &path, issues);
        }
    }
}

/// The type's code, or the Coding of the extension, which overrides it (RQ-SB-09).
fn parse_channel_type(channel: &Element<'_>, issues: &mut Issues) -> Option<ChannelType> {
    let code = channel.required("type", issues);
    let extensions = channel.extensions_of("type", issues);
    match only(&extensions, urls::CHANNEL_TYPE, issues) {
        None => take(channel_type(code?), channel.at("type"), issues),
        Some(extension) => {
            if !extension.element.members.contains_key("valueCoding") {
                issues.push(missing("valueCoding").at(extension.element.at("value")));
            }
            let coding = extension.element.child("valueCoding", issues)?;
            let system = coding.string("system", issues);
            let code = coding.required("code", issues)?;
            take(channel_type_of_coding(system, code), extension.element.at("value"), issues)
        }
    }
}

pub(super) fn parse_headers(
    channel_type: &ChannelType,
    channel: &Element<'_>,
    issues: &mut Issues,
) -> Vec<Header> {
    let texts = channel.strings("header", issues);
    if texts.len() > HEADERS_MAX {
        let text = format!("there are more than {HEADERS_MAX} headers");
        issues.push(Issue::error(IssueCode::OutOfBounds, text).at(channel.at("header")));
        return Vec::new();
    }
    let headers = texts.into_iter();
    headers
        .filter_map(|(text, path)| take(parse_header(channel_type, text), &path, issues))
        .collect()
}

/// The content level, which the profile demands exactly once (RQ-SB-03).
fn parse_payload_content(channel: &Element<'_>, issues: &mut Issues) -> Option<PayloadContent> {
    let extensions = channel.extensions_of("payload", issues);
    let Some(extension) = only(&extensions, urls::PAYLOAD_CONTENT, issues) else {
        let path = format!("{}.extension", channel.at("payload"));
        issues.push(missing("the extension backport-payload-content").at(path));
        return None;
    };
    if !extension.element.members.contains_key("valueCode") {
        issues.push(missing("valueCode").at(extension.element.at("value")));
    }
    let text = extension.element.string("valueCode", issues)?;
    take(parse_content(text), extension.element.at("value"), issues)
}

/// Where an R5 element stands in this Subscription.
///
/// One string of the filter extension may hold several filters, so the place of filter 2 depends
/// on the Subscription.
pub(crate) fn subscription_path(version: FhirVersion, value: &Value, r5: &str) -> String {
    let Some(rest) = r5.strip_prefix("Subscription.") else { return r5.to_owned() };
    if let Some(index) = rest.strip_prefix("filterBy[") {
        let index = index.split(']').next().and_then(|index| index.parse().ok());
        return index
            .and_then(|index| filter_path(version, value, index))
            .unwrap_or_else(|| "Subscription.criteria".to_owned());
    }
    let name = rest.split(['.', '[']).next().unwrap_or_default();
    let mapped = match name {
        "topic" => "criteria",
        "filterBy" => "criteria.extension",
        "channelType" => "channel.type",
        "endpoint" => "channel.endpoint",
        "contentType" => "channel.payload",
        "content" => "channel.payload.extension",
        "heartbeatPeriod" | "timeout" | "maxCount" => "channel.extension",
        "parameter" => {
            return format!("Subscription.channel.header{}", &rest["parameter".len()..])
                .trim_end_matches(".name")
                .trim_end_matches(".value")
                .to_owned();
        }
        _ => rest,
    };
    format!("Subscription.{mapped}")
}

fn filter_path(version: FhirVersion, value: &Value, index: usize) -> Option<String> {
    let root = Element::resource(value, "Subscription").ok()?;
    let mut ignored = Issues::default();
    let mut filters = Vec::new();
    for extension in root.extensions_of("criteria", &mut ignored) {
        if extension.url != urls::FILTER_CRITERIA {
            continue;
        }
        let text = extension.element.string("valueString", &mut ignored)?;
        let path = String::from(extension.element.at("value"));
        let definitions = Definitions::of(version);
        parse_filter_criteria(definitions, text, &path, &mut filters, &mut ignored);
        if filters.len() > index {
            return Some(path);
        }
    }
    None
}
