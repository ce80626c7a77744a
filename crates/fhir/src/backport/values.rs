//! Writes what the server decided into the bytes of an R4 or R4B Subscription.

use std::ops::Range;

use cresset_model::SubscriptionStatus;

use crate::json::{Edits, Object, elements, object, quoted};
use crate::urls;
use crate::values::SubscriptionValues;

/// Sets `status` and `error`; no error removes the element (RQ-ER-05).
pub(crate) fn set_status(bytes: &[u8], status: SubscriptionStatus, error: Option<&str>) -> Vec<u8> {
    let Some(root) = object(bytes, 0..bytes.len()) else { return bytes.to_vec() };
    let mut edits = Edits::default();
    let mut members = vec![("status", quoted(status.code()))];
    match error {
        Some(error) => members.push(("error", quoted(error))),
        None => edits.remove(bytes, &root, "error"),
    }
    edits.set(bytes, &root, &["status", "meta", "id", "resourceType"], &members);
    edits.apply(bytes)
}

/// Sets what of the channel the server chose otherwise than the client asked (RQ-SB-14, RQ-SB-27).
pub(crate) fn set_values(bytes: &[u8], values: &SubscriptionValues<'_>) -> Vec<u8> {
    let root = object(bytes, 0..bytes.len());
    let channel = root.as_ref().and_then(|root| {
        let member = root.member(bytes, "channel")?;
        object(bytes, member.value.clone())
    });
    let Some(channel) = channel else { return bytes.to_vec() };
    let mut edits = Edits::default();
    // What is missing in `channel` goes in at once: two insertions would not know of each other.
    let mut members = Vec::new();
    members.extend(values.mime_type.map(|mime_type| ("payload", quoted(mime_type))));
    let wanted = wanted_bounds(values);
    members.extend(set_extensions(bytes, &channel, wanted, &mut edits));
    if let Some(content) = values.content {
        let value = quoted(content.code());
        let wanted = Wanted { url: urls::PAYLOAD_CONTENT, member: "valueCode", value };
        let payload = channel.member(bytes, "_payload");
        match payload.and_then(|member| object(bytes, member.value.clone())) {
            Some(payload) => {
                let list = set_extensions(bytes, &payload, vec![wanted], &mut edits);
                edits.set(bytes, &payload, &[], &Vec::from_iter(list));
            }
            None => {
                let json = format!("{{\"extension\":[{}]}}", wanted.json());
                members.push(("_payload", json.into_bytes()));
            }
        }
    }
    edits.set(bytes, &channel, &["endpoint", "type"], &members);
    edits.apply(bytes)
}

fn wanted_bounds(values: &SubscriptionValues<'_>) -> Vec<Wanted> {
    let bounds = [
        (urls::HEARTBEAT_PERIOD, "valueUnsignedInt", values.heartbeat_period),
        (urls::TIMEOUT, "valueUnsignedInt", values.timeout),
        (urls::MAX_COUNT, "valuePositiveInt", values.max_count),
    ];
    let wanted = bounds.into_iter().filter_map(|(url, member, number)| {
        Some(Wanted { url, member, value: number?.to_string().into_bytes() })
    });
    wanted.collect()
}

/// An extension to be there with this value.
struct Wanted {
    url: &'static str,
    member: &'static str,
    value: Vec<u8>,
}

impl Wanted {
    fn json(&self) -> String {
        let value = String::from_utf8_lossy(&self.value);
        format!("{{\"url\":\"{}\",\"{}\":{value}}}", self.url, self.member)
    }
}

/// Sets extensions of an element: the value where the extension is, else a new one at the end of
/// the list. If there is no list, it is returned as a member to be set.
fn set_extensions(
    bytes: &[u8],
    element: &Object,
    wanted: Vec<Wanted>,
    edits: &mut Edits,
) -> Option<(&'static str, Vec<u8>)> {
    let list = element.member(bytes, "extension").map(|member| member.value.clone());
    let present = list.clone().and_then(|list| elements(bytes, list)).unwrap_or_default();
    let mut new = Vec::new();
    for wanted in wanted {
        match present.iter().find_map(|range| value_range(bytes, range.clone(), wanted.url)) {
            Some(range) => edits.replace(range, wanted.value),
            None => new.push(wanted.json()),
        }
    }
    if new.is_empty() {
        return None;
    }
    let new = new.join(",");
    match (list, present.last()) {
        (Some(_), Some(last)) => {
            edits.replace(last.end..last.end, format!(",{new}").into_bytes());
            None
        }
        (Some(list), None) => {
            edits.replace(list, format!("[{new}]").into_bytes());
            None
        }
        (None, _) => Some(("extension", format!("[{new}]").into_bytes())),
    }
}

/// Where the value of an extension stands, if it is the one with this URL.
fn value_range(bytes: &[u8], range: Range<usize>, url: &str) -> Option<Range<usize>> {
    let extension = object(bytes, range)?;
    let found = extension.member(bytes, "url")?;
    if bytes.get(found.value.clone())? != quoted(url).as_slice() {
        return None;
    }
    let value =
        extension.members.iter().find(|member| member.name_in(bytes).starts_with("value"))?;
    Some(value.value.clone())
}
