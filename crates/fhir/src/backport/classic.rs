//! Reads a Subscription of R4 or R4B with a search as its criteria (RQ-SB-02, docs/classic.md).
//!
//! It becomes one to the topic of the type that the search is on, with the search parameters as
//! filters. None of the guide's extensions has a place in it: each would make it topic-based.

use cresset_definitions::{Definitions, FhirVersion};
use cresset_model::{
    Canonical, ChannelType, Filter, Header, Issue, IssueCode, Issues, MimeType, PayloadContent,
    Subscription, criteria_topic_url,
};
use serde_json::Value;
use std::num::NonZeroU32;

use super::subscription::{is_status_here, parse_headers, warn_of_error};
use crate::channel::{channel_type, check_endpoint};
use crate::element::{Element, invalid, missing, shortened};
use crate::filter::{FILTERS_MAX, parse_filter_criteria};
use crate::mime::{MailForm, parse_mime};
use crate::subscription::{
    ASSUMED_CHANNEL, check_extensions, check_members, parse_end, parse_retry_period, parse_status,
    take,
};

/// Reads the Subscription; all issues are collected.
pub(super) fn parse(version: FhirVersion, value: &Value) -> Result<(Subscription, Issues), Issues> {
    let root = Element::resource(value, "Subscription")?;
    let definitions = Definitions::of(version);
    let mut issues = Issues::default();
    check_members(definitions, "Subscription", &root, &mut issues);
    check_extensions(&root, &[], &mut issues);
    let status = parse_status(&root, &mut issues, is_status_here);
    root.required("reason", &mut issues);
    let criteria = parse_criteria(definitions, &root, &mut issues);
    let end = parse_end(&root, &mut issues);
    let retry_period = parse_retry_period(&root, &mut issues);
    warn_of_error(&root, &mut issues);
    if !root.members.contains_key("channel") {
        issues.push(missing("channel").at(root.at("channel")));
    }
    let channel = root.child("channel", &mut issues).and_then(|channel| {
        check_members(definitions, "Subscription.channel", &channel, &mut issues);
        Channel::parse(version, &channel, &mut issues)
    });
    let (Some(status), Some((topic, filters)), Some(channel)) = (status, criteria, channel) else {
        return Err(issues);
    };
    issues.into_result(Subscription {
        status,
        topic,
        end,
        filters,
        content: channel.content(),
        channel_type: channel.channel_type,
        endpoint: channel.endpoint,
        headers: channel.headers,
        heartbeat_period: None,
        timeout: None,
        // What is sent has room for one resource.
        max_count: Some(NonZeroU32::MIN),
        retry_period,
        mime_type: channel.mime_type,
    })
}

/// The topic of the type, and the search parameters as its filters.
fn parse_criteria(
    definitions: &Definitions,
    root: &Element<'_>,
    issues: &mut Issues,
) -> Option<(Canonical, Vec<Filter>)> {
    let criteria = root.required("criteria", issues)?;
    let path = root.at("criteria");
    let (resource_type, search) = criteria.split_once('?').unwrap_or((criteria, ""));
    if !definitions.is_resource(resource_type) {
        let text = format!(
            "criteria must be the canonical URL of a topic, or a search such as \
             `Observation?code=1234-5`; there is no resource type `{}`",
            shortened(resource_type)
        );
        issues.push(invalid(text).at(path));
        return None;
    }
    let mut filters = Vec::new();
    if !search.is_empty() {
        parse_filter_criteria(definitions, criteria, &path, &mut filters, issues);
    }
    if filters.len() > FILTERS_MAX {
        let text = format!("there are more than {FILTERS_MAX} search parameters");
        issues.push(Issue::error(IssueCode::OutOfBounds, text).at(path));
        return None;
    }
    Some((Canonical::new(&criteria_topic_url(resource_type)), filters))
}

struct Channel {
    channel_type: ChannelType,
    endpoint: Option<String>,
    headers: Vec<Header>,
    mime_type: Option<MimeType>,
}

impl Channel {
    fn parse(version: FhirVersion, channel: &Element<'_>, issues: &mut Issues) -> Option<Self> {
        let code = channel.required("type", issues);
        let parsed = code.map(channel_type).and_then(|one| take(one, &channel.at("type"), issues));
        let served = parsed.as_ref().is_none_or(is_served);
        if !served {
            let text = "a subscription with a search as its criteria is served over rest-hook, \
                        websocket and email; subscribe to a topic for other channels";
            let issue = Issue::error(IssueCode::UnknownChannelType, text);
            issues.push(issue.at(channel.at("type")));
        }
        let endpoint = channel.string("endpoint", issues);
        if let Some(one) = parsed.as_ref().filter(|_| served) {
            take(check_endpoint(one, endpoint), &channel.at("endpoint"), issues);
        }
        let mime_type = channel.string("payload", issues).and_then(|text| {
            take(parse_payload(version, parsed.as_ref(), text), &channel.at("payload"), issues)
        });
        // A mail without a form would have the notification attached.
        let is_mail = parsed == Some(ChannelType::Email);
        let mime_type = mime_type.or_else(|| is_mail.then(|| MimeType::new("text/plain")));
        let headers = parse_headers(parsed.as_ref().unwrap_or(&ASSUMED_CHANNEL), channel, issues);
        let (endpoint, channel_type) = (endpoint.map(str::to_owned), parsed.filter(|_| served)?);
        Some(Self { channel_type, endpoint, headers, mime_type })
    }

    /// The base specification's two levels: that something happened, or the resource.
    fn content(&self) -> PayloadContent {
        match (&self.channel_type, &self.mime_type) {
            // A ping tells nothing; who binds by token gets a notification (docs/classic.md).
            (ChannelType::Websocket, _) | (ChannelType::RestHook, Some(_)) => {
                PayloadContent::FullResource
            }
            (
                ChannelType::Custom(_)
                | ChannelType::Email
                | ChannelType::Kafka
                | ChannelType::Message
                | ChannelType::Nats
                | ChannelType::RestHook,
                _,
            ) => PayloadContent::Empty,
        }
    }
}

fn is_served(channel_type: &ChannelType) -> bool {
    match channel_type {
        ChannelType::Email | ChannelType::RestHook | ChannelType::Websocket => true,
        ChannelType::Custom(_) | ChannelType::Kafka | ChannelType::Message | ChannelType::Nats => {
            false
        }
    }
}

/// The MIME type of the resource; that of the text in a mail, which carries none.
fn parse_payload(
    version: FhirVersion,
    channel: Option<&ChannelType>,
    text: &str,
) -> Result<MimeType, Issue> {
    let mime_type = parse_mime(version, channel, text)?;
    let attaches =
        channel == Some(&ChannelType::Email) && MailForm::of(Some(&mime_type)).attachment.is_some();
    if attaches {
        let text = "a mail about criteria has no attachment; use text/plain or text/html";
        return Err(Issue::error(IssueCode::UnsupportedMimeType, text));
    }
    Ok(mime_type)
}
