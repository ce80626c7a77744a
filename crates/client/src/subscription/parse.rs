//! Subscriptions from JSON of each version.

use serde_json::Value;
use url::Url;

use super::{CHANNEL_TYPES, ChannelType, GUIDE, InvalidSubscription, PayloadContent, Subscription};
use crate::filter::Filter;
use crate::json::{extensions, items, text};
use crate::notification::SubscriptionStatus;
use crate::version::FhirVersion;

pub(super) fn subscription(
    version: FhirVersion,
    resource: &Value,
) -> Result<Subscription, InvalidSubscription> {
    if resource["resourceType"] != "Subscription" {
        return Err(InvalidSubscription("resourceType"));
    }
    if version.is_backport() { backport(resource) } else { r5(resource) }
}

fn backport(resource: &Value) -> Result<Subscription, InvalidSubscription> {
    let channel = &resource["channel"];
    // A subscription of R4 to no topic has a query here, which is no absolute URL.
    let topic = text(resource, "criteria").filter(|criteria| Url::parse(criteria).is_ok());
    let guide = |of: &Value, name: &str| -> Option<Value> {
        extensions(of, &format!("{GUIDE}/{name}")).next().cloned()
    };
    let filter_url = format!("{GUIDE}/backport-filter-criteria");
    let filters = extensions(&resource["_criteria"], &filter_url)
        .map(|value| Filter::list(value.as_str()?).ok())
        .collect::<Option<Vec<_>>>();
    let content = guide(&channel["_payload"], "backport-payload-content");
    let number = |name: &str| guide(channel, name)?.as_u64()?.try_into().ok();
    let channel_type = match guide(&channel["_type"], "backport-channel-type") {
        Some(coding) => coding_of(&coding),
        None => text(channel, "type").map(|code| ChannelType { system: None, code }),
    };
    let headers = items(channel, "header").iter().filter_map(|header| {
        let (name, value) = header.as_str()?.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    Ok(Subscription {
        id: text(resource, "id"),
        status: status(resource)?,
        topic: topic.ok_or(InvalidSubscription("criteria"))?,
        reason: text(resource, "reason"),
        end: text(resource, "end"),
        filters: filters.ok_or(InvalidSubscription("criteria's filters"))?.concat(),
        channel_type: channel_type.ok_or(InvalidSubscription("channel.type"))?,
        endpoint: text(channel, "endpoint"),
        headers: headers.collect(),
        heartbeat_period: number("backport-heartbeat-period"),
        timeout: number("backport-timeout"),
        content_type: text(channel, "payload"),
        content: content_of(content.as_ref().and_then(Value::as_str))?,
        max_count: number("backport-max-count"),
    })
}

fn r5(resource: &Value) -> Result<Subscription, InvalidSubscription> {
    let number = |name: &str| resource[name].as_u64()?.try_into().ok();
    let filters: Option<Vec<Filter>> =
        items(resource, "filterBy").iter().map(Filter::from_r5).collect();
    let headers = items(resource, "parameter")
        .iter()
        .filter_map(|header| Some((text(header, "name")?, text(header, "value")?)));
    Ok(Subscription {
        id: text(resource, "id"),
        status: status(resource)?,
        topic: text(resource, "topic").ok_or(InvalidSubscription("topic"))?,
        reason: text(resource, "reason"),
        end: text(resource, "end"),
        filters: filters.ok_or(InvalidSubscription("filterBy"))?,
        channel_type: coding_of(&resource["channelType"])
            .ok_or(InvalidSubscription("channelType"))?,
        endpoint: text(resource, "endpoint"),
        headers: headers.collect(),
        heartbeat_period: number("heartbeatPeriod"),
        timeout: number("timeout"),
        content_type: text(resource, "contentType"),
        content: content_of(resource["content"].as_str())?,
        max_count: number("maxCount"),
    })
}

fn status(resource: &Value) -> Result<SubscriptionStatus, InvalidSubscription> {
    let code = resource["status"].as_str();
    code.and_then(SubscriptionStatus::parse).ok_or(InvalidSubscription("status"))
}

fn coding_of(coding: &Value) -> Option<ChannelType> {
    let system = text(coding, "system").filter(|system| system != CHANNEL_TYPES);
    Some(ChannelType { system, code: text(coding, "code")? })
}

/// Published examples leave the content out (TR-26); the least is what may be relied on then.
fn content_of(code: Option<&str>) -> Result<PayloadContent, InvalidSubscription> {
    let Some(code) = code else { return Ok(PayloadContent::Empty) };
    PayloadContent::parse(code).ok_or(InvalidSubscription("content"))
}
