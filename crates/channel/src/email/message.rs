//! A mail as it travels: headers, body, attachment.
//!
//! The same [`Mail`] always becomes the same bytes, so that a repetition is one. Its tests, with
//! golden files, are in `email/tests.rs`.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::Timestamp;
use lettre::Message;
use lettre::message::header::{
    ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use url::Url;

use crate::email::Recipient;

/// Most characters of a subject line; what is longer is cut.
pub const MAIL_SUBJECT_LENGTH_MAX: usize = 200;
/// Longest link that stands in a header; a line of a mail has 998 bytes at most.
const LINK_LENGTH_MAX: usize = 900;

/// What the body of a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `text/html`
    Html,
    /// `text/plain`
    Plain,
}

/// What goes with a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, for people.
    pub file_name: String,
    /// Its MIME type.
    pub content_type: String,
    /// What it is.
    pub bytes: Bytes,
}

/// One mail to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Names the mail, in letters, digits, `-` and `_`; the same for each attempt, so that receivers
    /// can tell a repetition.
    pub id: String,
    /// Where to.
    pub to: Recipient,
    /// The subject line; cut after [`MAIL_SUBJECT_LENGTH_MAX`] characters.
    pub subject: String,
    /// What `body` is.
    pub body_kind: BodyKind,
    /// For people.
    pub body: String,
    /// For machines.
    pub attachment: Option<Attachment>,
    /// Where the receiver ends it: shown by mail programs, which POST to it (RFC 8058).
    pub unsubscribe: Option<Url>,
    /// When it is written.
    pub date: Timestamp,
    /// Most bytes of the whole; a larger one is not sent.
    pub bytes_max: usize,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// Not derived: addresses and texts are not for logs.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("id", &self.id)
            .field("body_kind", &self.body_kind)
            .field("body_bytes", &self.body.len())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Mail {
    /// The bytes that travel, or why there are none.
    pub(super) fn format(
        &self,
        from: &Mailbox,
        reply_to: Option<&Mailbox>,
    ) -> Result<Vec<u8>, &'static str> {
        let bytes = self.message(from, reply_to)?.formatted();
        if bytes.len() > self.bytes_max {
            return Err("the mail is larger than allowed");
        }
        Ok(bytes)
    }

    fn message(&self, from: &Mailbox, reply_to: Option<&Mailbox>) -> Result<Message, &'static str> {
        let unbuilt = |_| "the mail cannot be built";
        let id = self.id.as_str();
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err("the id of the mail cannot stand in a header");
        }
        let mut builder = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, self.to.address().clone()))
            .subject(subject(&self.subject))
            .date(system_time(self.date))
            .message_id(Some(format!("<{id}@{}>", from.email.domain())))
            // RFC 3834: nobody's absence is answered to a program.
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned())?);
        if let Some(reply_to) = reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let link = self.unsubscribe.as_ref().filter(|url| url.as_str().len() <= LINK_LENGTH_MAX);
        if let Some(url) = link {
            let one_click = "List-Unsubscribe=One-Click".to_owned();
            builder = builder.raw_header(header("List-Unsubscribe", format!("<{url}>"))?);
            // Mail programs POST over https only (RFC 8058, section 3.1).
            if url.scheme() == "https" {
                builder = builder.raw_header(header("List-Unsubscribe-Post", one_click)?);
            }
        }
        let body = match self.body_kind {
            BodyKind::Html => SinglePart::html(self.body.clone()),
            BodyKind::Plain => SinglePart::plain(self.body.clone()),
        };
        let Some(attachment) = &self.attachment else {
            return builder.singlepart(body).map_err(unbuilt);
        };
        let parts = MultiPart::mixed().boundary(format!("part-{id}"));
        let parts = parts.singlepart(body).singlepart(attached(attachment)?);
        builder.multipart(parts).map_err(unbuilt)
    }
}

/// In base64 always: no relay has a reason to change it.
fn attached(attachment: &Attachment) -> Result<SinglePart, &'static str> {
    let content_type = ContentType::parse(&attachment.content_type)
        .map_err(|_| "the attachment has no MIME type")?;
    let encoding = ContentTransferEncoding::Base64;
    let body = Body::new_with_encoding(attachment.bytes.to_vec(), encoding)
        .map_err(|_| "the attachment cannot be encoded")?;
    Ok(SinglePart::builder()
        .header(ContentDisposition::attachment(&attachment.file_name))
        .header(content_type)
        .body(body))
}

/// The same time for headers; those before 1970 are of no mail.
fn system_time(at: Timestamp) -> SystemTime {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The subject without what could end its line.
fn subject(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAIL_SUBJECT_LENGTH_MAX).collect()
}

fn header(name: &'static str, value: String) -> Result<HeaderValue, &'static str> {
    if value.chars().any(char::is_control) {
        return Err("a header of the mail cannot be built");
    }
    Ok(HeaderValue::new(HeaderName::new_from_ascii_str(name), value))
}
