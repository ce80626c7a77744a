//! Reads a Subscription of R5, and writes what the server decided into its bytes.

use std::num::NonZeroU32;
use std::time::Duration;

use cresset_definitions::{Definitions, FhirVersion};
use cresset_model::{
    Canonical, ChannelType, Comparator, Filter, Header, Issue, IssueCode, Issues, MimeType,
    Modifier, PayloadContent, Subscription, SubscriptionStatus,
};
use serde_json::Value;
use smol_str::SmolStr;

use crate::channel::{
    HEADERS_MAX, channel_type_of_coding, check_endpoint, check_header, parse_positive,
    parse_seconds,
};
use crate::element::{Element, invalid, missing};
use crate::filter::{FILTERS_MAX, check_filter, parse_filter_type};
use crate::json::{Edits, object, quoted};
use crate::mime::parse_mime;
use crate::subscription::{
    ASSUMED_CHANNEL, check_extensions, check_members, parse_content, parse_end, parse_retry_period,
    parse_status, take,
};
use crate::values::SubscriptionValues;

/// Reads the Subscription; all issues are collected.
pub(crate) fn parse_subscription(value: &Value) -> Result<(Subscription, Issues), Issues> {
    let root = Element::resource(value, "Subscription")?;
    let definitions = Definitions::of(FhirVersion::R5);
    let mut issues = Issues::default();
    check_members(definitions, "Subscription", &root, &mut issues);
    check_extensions(&root, &[], &mut issues);
    let status = parse_status(&root, &mut issues, |_| true);
    let topic = root.required("topic", &mut issues).map(Canonical::new);
    let end = parse_end(&root, &mut issues);
    let filters = parse_filters(definitions, &root, &mut issues);
    let retry_period = parse_retry_period(&root, &mut issues);
    let channel_type = parse_channel_type(&root, &mut issues);
    let channel = Channel::parse(&root, channel_type.as_ref(), &mut issues);
    let (Some(status), Some(topic), Some(channel_type)) = (status, topic, channel_type) else {
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
        content: channel.content,
    })
}

struct Channel {
    endpoint: Option<String>,
    headers: Vec<Header>,
    heartbeat_period: Option<Duration>,
    timeout: Option<Duration>,
    max_count: Option<NonZeroU32>,
    mime_type: Option<MimeType>,
    content: PayloadContent,
}

impl Channel {
    fn parse(root: &Element<'_>, channel_type: Option<&ChannelType>, issues: &mut Issues) -> Self {
        let endpoint = root.string("endpoint", issues);
        if let Some(channel_type) = channel_type {
            take(check_endpoint(channel_type, endpoint), root.at("endpoint"), issues);
        }
        let mime_type = root.string("contentType", issues).and_then(|text| {
            let parsed = parse_mime(FhirVersion::R5, channel_type, text);
            take(parsed, root.at("contentType"), issues)
        });
        let content = root
            .string("content", issues)
            .and_then(|text| take(parse_content(text), root.at("content"), issues));
        Self {
            endpoint: endpoint.map(str::to_owned),
            headers: parse_headers(channel_type.unwrap_or(&ASSUMED_CHANNEL), root, issues),
            heartbeat_period: bound(root, "heartbeatPeriod", parse_seconds, issues),
            timeout: bound(root, "timeout", parse_seconds, issues),
            max_count: bound(root, "maxCount", parse_positive, issues),
            mime_type,
            // The least there is where the client does not say (RQ-SB-15).
            content: content.unwrap_or(PayloadContent::Empty),
        }
    }
}

fn bound<T>(
    root: &Element<'_>,
    name: &str,
    parse: impl FnOnce(&Value) -> Result<T, Issue>,
    issues: &mut Issues,
) -> Option<T> {
    take(parse(root.members.get(name)?), root.at(name), issues)
}

fn parse_channel_type(root: &Element<'_>, issues: &mut Issues) -> Option<ChannelType> {
    if !root.members.contains_key("channelType") {
        issues.push(missing("channelType").at(root.at("channelType")));
    }
    let coding = root.child("channelType", issues)?;
    let system = coding.string("system", issues);
    let code = coding.required("code", issues)?;
    take(channel_type_of_coding(system, code), &coding.path, issues)
}

fn parse_headers(
    channel_type: &ChannelType,
    root: &Element<'_>,
    issues: &mut Issues,
) -> Vec<Header> {
    let parameters = root.children("parameter", issues);
    if parameters.len() > HEADERS_MAX {
        let text = format!("there are more than {HEADERS_MAX} parameters");
        issues.push(Issue::error(IssueCode::OutOfBounds, text).at(root.at("parameter")));
        return Vec::new();
    }
    let mut headers = Vec::new();
    for parameter in parameters {
        let name = parameter.required("name", issues);
        let value = parameter.required("value", issues);
        if let (Some(name), Some(value)) = (name, value) {
            let header = check_header(channel_type, name, value);
            headers.extend(take(header, &parameter.path, issues));
        }
    }
    headers
}

fn parse_filters(
    definitions: &Definitions,
    root: &Element<'_>,
    issues: &mut Issues,
) -> Vec<Filter> {
    let elements = root.children("filterBy", issues);
    if elements.len() > FILTERS_MAX {
        let text = format!("there are more than {FILTERS_MAX} filters");
        issues.push(Issue::error(IssueCode::OutOfBounds, text).at(root.at("filterBy")));
        return Vec::new();
    }
    let parse = |element| parse_filter(definitions, &element, issues);
    elements.into_iter().filter_map(parse).collect()
}

fn parse_filter(
    definitions: &Definitions,
    element: &Element<'_>,
    issues: &mut Issues,
) -> Option<Filter> {
    check_members(definitions, "Subscription.filterBy", element, issues);
    let resource_type = element.string("resourceType", issues).and_then(|text| {
        take(parse_filter_type(definitions, text), element.at("resourceType"), issues)
    });
    let parameter = element.required("filterParameter", issues);
    let comparator = element.code("comparator", Comparator::from_code, issues);
    let modifier = element.code("modifier", Modifier::from_code, issues);
    let value = element.required("value", issues);
    if element.members.contains_key("comparator") && element.members.contains_key("modifier") {
        let text = "a filter has a comparator or a modifier, not both (scr-1)";
        issues.push(invalid(text).at(element.path.clone()));
    }
    let filter = Filter {
        resource_type: resource_type.map(SmolStr::new),
        parameter: SmolStr::new(parameter?),
        comparator,
        modifier,
        value: value?.to_owned(),
    };
    take(check_filter(filter), &element.path, issues)
}

/// Sets `status`. R5 has no `Subscription.error` (TR-24): errors are told by `$status` only.
pub(crate) fn set_status(bytes: &[u8], status: SubscriptionStatus) -> Vec<u8> {
    set(bytes, &["name", "identifier", "meta", "id", "resourceType"], |members| {
        members.push(("status", quoted(status.code())));
    })
}

/// Sets what the server chose otherwise than the client asked, or for it (RQ-SB-15, RQ-SB-27).
pub(crate) fn set_values(bytes: &[u8], values: &SubscriptionValues<'_>) -> Vec<u8> {
    let number = |value: u32| value.to_string().into_bytes();
    set(bytes, &["endpoint", "channelType"], |members| {
        members.extend(values.heartbeat_period.map(|it| ("heartbeatPeriod", number(it))));
        members.extend(values.timeout.map(|it| ("timeout", number(it))));
        members.extend(values.mime_type.map(|it| ("contentType", quoted(it))));
        members.extend(values.content.map(|it| ("content", quoted(it.code()))));
        members.extend(values.max_count.map(|it| ("maxCount", number(it))));
    })
}

fn set<'n>(
    bytes: &[u8],
    after: &[&str],
    collect: impl FnOnce(&mut Vec<(&'n str, Vec<u8>)>),
) -> Vec<u8> {
    let Some(root) = object(bytes, 0..bytes.len()) else { return bytes.to_vec() };
    let mut members = Vec::new();
    collect(&mut members);
    let mut edits = Edits::default();
    edits.set(bytes, &root, after, &members);
    edits.apply(bytes)
}
