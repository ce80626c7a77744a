//! What the codecs share when they read a Subscription: the checks that no element and no
//! extension is ignored that might narrow what the client gets (RQ-FL-11, TR-05).

use std::time::Duration;

use cresset_definitions::Definitions;
use cresset_model::{
    ChannelType, Issue, IssueCode, IssueKind, Issues, PayloadContent, SubscriptionStatus,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::element::{Element, Extension, invalid, missing, shortened};
use crate::instant::parse_instant;
use crate::urls;

/// An extension that is read, and the element it belongs to.
pub(crate) struct KnownExtension {
    pub(crate) url: &'static str,
    pub(crate) place: &'static str,
}

/// Refuses members that the type does not define: a misspelt `filterBy` would widen what is sent.
pub(crate) fn check_members(
    definitions: &Definitions,
    type_name: &str,
    element: &Element<'_>,
    issues: &mut Issues,
) {
    let Some(definition) = definitions.type_named(type_name) else { return };
    for name in element.members.keys() {
        let bare = name.strip_prefix('_').unwrap_or(name);
        if bare != "resourceType" && definition.element_for_json(bare).is_none() {
            let text = format!("{type_name} has no element `{}`", shortened(name));
            issues
                .push(invalid(text).of_kind(IssueKind::Structure).at(element.at(shortened(name))));
        }
    }
}

/// Refuses extensions that could change what the subscription means and are not read here.
pub(crate) fn check_extensions(root: &Element<'_>, known: &[KnownExtension], issues: &mut Issues) {
    let (path, place) = (root.path.clone(), root.path.clone());
    let mut check = ExtensionCheck { known, path, place, issues };
    check.object(root.members, true);
}

/// Every element is passed, and hardly ever is anything wrong with one: where it stands is kept in two texts that grow
/// and shrink.
struct ExtensionCheck<'c> {
    known: &'c [KnownExtension],
    path: String,
    /// The path without indices.
    place: String,
    issues: &'c mut Issues,
}

impl ExtensionCheck<'_> {
    /// Recursion is bounded by the depth of the JSON.
    fn object(&mut self, members: &Map<String, Value>, root: bool) {
        for (name, value) in members {
            match name.as_str() {
                "extension" => self.extensions(value, root),
                "modifierExtension" => {
                    let text = "modifier extensions of a Subscription are not supported";
                    let issue = Issue::error(IssueCode::UnknownExtension, text);
                    self.issues.push(issue.at(format!("{}.modifierExtension", self.path)));
                }
                // They say nothing of what is sent.
                "text" | "meta" | "contained" if root => {}
                _ => self.member(name.strip_prefix('_').unwrap_or(name), value),
            }
        }
    }

    fn member(&mut self, name: &str, value: &Value) {
        let (path, place) = (self.path.len(), self.place.len());
        for text in [&mut self.path, &mut self.place] {
            text.push('.');
            text.push_str(name);
        }
        self.value(value);
        self.path.truncate(path);
        self.place.truncate(place);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(members) => self.object(members, false),
            Value::Array(items) => {
                let path = self.path.len();
                for (index, item) in items.iter().enumerate() {
                    self.path.extend(["[", &index.to_string(), "]"]);
                    self.value(item);
                    self.path.truncate(path);
                }
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn extensions(&mut self, value: &Value, root: bool) {
        for (index, extension) in value.as_array().into_iter().flatten().enumerate() {
            let url = extension.get("url").and_then(Value::as_str).unwrap_or_default();
            let is_known = |known: &KnownExtension| known.url == url && known.place == self.place;
            if self.known.iter().any(is_known) {
                continue;
            }
            let backport = url.starts_with(urls::BACKPORT);
            let newer = url.starts_with(urls::CROSS_VERSION_R5) && !(root && harmless(url));
            if backport || newer {
                let text = format!("the extension `{}` is not supported here", shortened(url));
                let issue = Issue::error(IssueCode::UnknownExtension, text);
                self.issues.push(issue.at(format!("{}.extension[{index}]", self.path)));
            }
        }
    }
}

/// R5 elements that do not change what is sent, as extensions at the root (TR-05).
fn harmless(url: &str) -> bool {
    let element = url
        .strip_prefix(urls::CROSS_VERSION_R5)
        .and_then(|rest| rest.strip_prefix("StructureDefinition/extension-Subscription."));
    matches!(element, Some("identifier" | "managingEntity" | "name"))
}

/// `end`, if it is there.
pub(crate) fn parse_end(root: &Element<'_>, issues: &mut Issues) -> Option<Timestamp> {
    let text = root.string("end", issues)?;
    let end = parse_instant(text);
    if end.is_none() {
        let text = "must be an instant with seconds and time zone, such as 2030-01-01T00:00:00Z";
        issues.push(invalid(text).at(root.at("end")));
    }
    end
}

/// How long what fails is repeated, by an extension of ours, the same in all versions.
pub(crate) fn parse_retry_period(root: &Element<'_>, issues: &mut Issues) -> Option<Duration> {
    let extensions = root.extensions(issues);
    let (value, path) = bound(&extensions, urls::RETRY_PERIOD, issues)?;
    let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    if seconds.is_none() {
        issues.push(invalid("must be a number of seconds").at(path));
    }
    seconds.map(|seconds| Duration::from_secs(u64::from(seconds)))
}

/// The only extension with this URL; a second one is an issue.
pub(crate) fn only<'e, 'a>(
    extensions: &'e [Extension<'a>],
    url: &str,
    issues: &mut Issues,
) -> Option<&'e Extension<'a>> {
    let mut matching = extensions.iter().filter(|extension| extension.url == url);
    let first = matching.next();
    if let Some(second) = matching.next() {
        let issue = invalid("this extension may stand here only once");
        issues.push(issue.of_kind(IssueKind::Structure).at(second.element.path.clone()));
    }
    first
}

/// The number in an extension. `valueInteger` is not what the guide says and is met in the wild.
pub(crate) fn bound<'a>(
    extensions: &[Extension<'a>],
    url: &str,
    issues: &mut Issues,
) -> Option<(&'a Value, String)> {
    let extension = only(extensions, url, issues)?;
    let path = String::from(extension.element.at("value"));
    let names = ["valueUnsignedInt", "valuePositiveInt", "valueInteger"];
    let value = names.iter().find_map(|name| extension.element.members.get(*name));
    if value.is_none() {
        issues.push(missing("valueUnsignedInt").at(path.clone()));
    }
    value.map(|value| (value, path))
}

/// `status` as the client wrote it; what it may write is for the caller to say (RQ-SB-23).
pub(crate) fn parse_status(
    root: &Element<'_>,
    issues: &mut Issues,
    allowed: impl FnOnce(SubscriptionStatus) -> bool,
) -> Option<SubscriptionStatus> {
    if !root.members.contains_key("status") {
        issues.push(missing("status").at(root.at("status")));
    }
    let from_code = |code: &str| SubscriptionStatus::from_code(code).filter(|code| allowed(*code));
    root.code("status", from_code, issues)
}

/// A content level with its issue (RQ-SB-34).
pub(crate) fn parse_content(text: &str) -> Result<PayloadContent, Issue> {
    PayloadContent::from_code(text).ok_or_else(|| {
        let text = format!(
            "`{}` is not a content level; use empty, id-only or full-resource",
            shortened(text)
        );
        Issue::error(IssueCode::UnsupportedContent, text)
    })
}

/// The value, or none with its issue pushed.
pub(crate) fn take<T>(
    result: Result<T, Issue>,
    path: impl Into<String>,
    issues: &mut Issues,
) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(issue) => {
            issues.push(issue.at(path));
            None
        }
    }
}

/// Stands in for a channel type that could not be read, so that the rest is checked too.
pub(crate) const ASSUMED_CHANNEL: ChannelType = ChannelType::RestHook;
