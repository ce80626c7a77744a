//! The MIME types a subscription may ask for (RQ-SB-04, RQ-CH-09, RQ-CH-62, TR-11).

use cresset_definitions::FhirVersion;
use cresset_model::{ChannelType, Issue, IssueCode, MimeType};

use crate::element::shortened;

/// What notifications are sent as where a subscription does not say (RQ-SB-15).
pub const MIME_TYPE_DEFAULT: &str = "application/fhir+json";

/// The same for mails: a body for people, the Bundle for programs.
pub const MAIL_MIME_TYPE_DEFAULT: &str = "text/plain;attach=application/fhir+json";

/// What a mail is made of (RQ-CH-62).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailForm {
    /// Whether the body is `text/html`; else it is `text/plain`.
    pub html: bool,
    /// The MIME type of the Bundle that is attached, if one is.
    pub attachment: Option<String>,
}

impl MailForm {
    /// The form that an accepted MIME type of a subscription by mail asks for; without one, that of
    /// [`MAIL_MIME_TYPE_DEFAULT`].
    pub fn of(mime_type: Option<&MimeType>) -> Self {
        let text = mime_type.map_or(MAIL_MIME_TYPE_DEFAULT, MimeType::as_str);
        let parts = Parts::parse(text);
        let attachment = parts.as_ref().and_then(|parts| {
            let mut parameters = parts.parameters.iter();
            parameters.find_map(|(name, value)| (name == "attach").then(|| value.clone()))
        });
        Self { html: parts.is_some_and(|parts| parts.essence == "text/html"), attachment }
    }
}

/// MIME types of the JSON form, in lower case.
const JSON: [&str; 2] = ["application/fhir+json", "application/json"];
/// Those of the XML form.
pub(crate) const XML: [&str; 3] = ["application/fhir+xml", "application/xml", "text/xml"];

/// Longest MIME type.
const MIME_BYTES_MAX: usize = 256;

/// The MIME type as written, if it is one this server can send over the channel.
///
/// # Errors
/// `UnsupportedMimeType` with the reason. The version parameter must be the one of the base: a
/// resource is never converted to another version.
pub(crate) fn parse_mime(
    version: FhirVersion,
    channel: Option<&ChannelType>,
    text: &str,
) -> Result<MimeType, Issue> {
    let parts = Parts::parse(text).ok_or_else(|| refused("this is not a MIME type"))?;
    let email = channel == Some(&ChannelType::Email);
    if email {
        check_body(&parts)?;
    } else {
        check_form(&parts.essence)?;
    }
    for (name, value) in &parts.parameters {
        match (name.as_str(), email) {
            ("fhirversion", _) => check_version(version, value)?,
            ("charset", _) if value.eq_ignore_ascii_case("utf-8") => {}
            ("charset", _) => return Err(refused("the only charset is utf-8")),
            ("attach", true) => check_form(&value.to_ascii_lowercase())?,
            _ => {
                let name = shortened(name);
                return Err(refused(format!("the parameter `{name}` is not known here")));
            }
        }
    }
    Ok(MimeType::new(text))
}

fn check_form(essence: &str) -> Result<(), Issue> {
    if JSON.contains(&essence) || XML.contains(&essence) {
        return Ok(());
    }
    let essence = shortened(essence);
    let text =
        format!("`{essence}` cannot be sent; use application/fhir+json or application/fhir+xml");
    Err(refused(text))
}

/// The body of a mail is for people; the Bundle is an attachment (RQ-CH-61).
fn check_body(parts: &Parts) -> Result<(), Issue> {
    match parts.essence.as_str() {
        "text/plain" | "text/html" => Ok(()),
        _ => Err(refused(
            "a mail is text/plain or text/html, perhaps with ;attach=application/fhir+json or +xml",
        )),
    }
}

fn check_version(version: FhirVersion, asked: &str) -> Result<(), Issue> {
    if asked == version.mime() {
        return Ok(());
    }
    let (asked, own) = (shortened(asked), version.mime());
    Err(refused(format!("fhirVersion {asked} cannot be sent here; this base speaks {own}")))
}

fn refused(text: impl Into<String>) -> Issue {
    Issue::error(IssueCode::UnsupportedMimeType, text)
}

struct Parts {
    /// `type/subtype` in lower case.
    essence: String,
    /// Names in lower case; values without quotes.
    parameters: Vec<(String, String)>,
}

impl Parts {
    fn parse(text: &str) -> Option<Self> {
        // Visible ASCII only: the text goes into a header as it is.
        let clean = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !clean || text.len() > MIME_BYTES_MAX || text != text.trim() {
            return None;
        }
        let mut sections = text.split(';');
        let essence = sections.next()?.trim_end();
        let (kind, subtype) = essence.split_once('/')?;
        if !(is_token(kind) && is_token(subtype)) {
            return None;
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for section in sections {
            let (name, value) = section.trim().split_once('=')?;
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value = quoted.unwrap_or(value);
            // `/` is no token character, but RQ-CH-62 has `attach=application/fhir+json`.
            if !is_token(name) || value.is_empty() || !value.split('/').all(is_token) {
                return None;
            }
            let name = name.to_ascii_lowercase();
            if parameters.iter().any(|(known, _)| *known == name) {
                return None;
            }
            parameters.push((name, value.to_owned()));
        }
        Some(Self { essence: essence.to_ascii_lowercase(), parameters })
    }
}

/// Whether the text is a `token` of RFC 9110, section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
