//! The pages behind the links in mails: confirm a subscription, or end it.
//!
//! Opening a page changes nothing, since programs that check mails open every link; the button on it
//! POSTs, and so do mail programs that offer to unsubscribe (RFC 8058). The pages are plain, say
//! nothing of what is subscribed to, run no script and load nothing.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use cresset_node::{Error, MailLink, MailLinkState};

use crate::context::{Context, version_of};

/// What a page may do: post its form to where it came from.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Version, id of the subscription, token.
type Parts = Path<(String, String, String)>;

/// `GET /email/confirm/[version]/[id]/[token]`
pub(crate) async fn confirm_page(State(context): State<Context>, parts: Parts) -> Response {
    page(MailLink::Confirm, state(&context, MailLink::Confirm, parts, false).await)
}

/// `POST /email/confirm/[version]/[id]/[token]`
pub(crate) async fn confirm(State(context): State<Context>, parts: Parts) -> Response {
    page(MailLink::Confirm, state(&context, MailLink::Confirm, parts, true).await)
}

/// `GET /email/unsubscribe/[version]/[id]/[token]`
pub(crate) async fn unsubscribe_page(State(context): State<Context>, parts: Parts) -> Response {
    page(MailLink::Unsubscribe, state(&context, MailLink::Unsubscribe, parts, false).await)
}

/// `POST /email/unsubscribe/[version]/[id]/[token]`
pub(crate) async fn unsubscribe(State(context): State<Context>, parts: Parts) -> Response {
    page(MailLink::Unsubscribe, state(&context, MailLink::Unsubscribe, parts, true).await)
}

async fn state(
    context: &Context,
    link: MailLink,
    Path((version, id, token)): Parts,
    follow: bool,
) -> Result<MailLinkState, Error> {
    let Ok(version) = version_of(&version) else { return Ok(MailLinkState::Invalid) };
    match follow {
        true => context.node.follow_mail_link(link, version, &id, &token).await,
        false => context.node.mail_link(link, version, &id, &token).await,
    }
}

fn page(link: MailLink, state: Result<MailLinkState, Error>) -> Response {
    let (title, button) = match link {
        MailLink::Confirm => ("Confirm a subscription", "Yes, send notifications"),
        MailLink::Unsubscribe => ("End a subscription", "Send no more notifications"),
    };
    let is_open = matches!(state, Ok(MailLinkState::Open));
    let (status, text) = match (state, link) {
        (Ok(MailLinkState::Open), MailLink::Confirm) => {
            (StatusCode::OK, "Notifications are sent to your mailbox once you press the button.")
        }
        (Ok(MailLinkState::Open), MailLink::Unsubscribe) => (
            StatusCode::OK,
            "No more notifications are sent to your mailbox once you press the button.",
        ),
        (Ok(MailLinkState::Done), MailLink::Confirm) => {
            (StatusCode::OK, "The subscription is confirmed.")
        }
        (Ok(MailLinkState::Done), MailLink::Unsubscribe) => {
            (StatusCode::OK, "The subscription has ended.")
        }
        (Ok(MailLinkState::Invalid), _) => {
            (StatusCode::NOT_FOUND, "This link is not valid, or not any more.")
        }
        (Err(error), _) => {
            let status = StatusCode::from_u16(error.kind().http_status());
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "Please try again later.")
        }
    };
    // The form has no action, so it goes to where the page came from, also behind a proxy.
    let form = match is_open {
        true => format!("<form method=\"post\"><button>{button}</button></form>\n"),
        false => String::new(),
    };
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>\
         </head>\n<body>\n<h1>{title}</h1>\n<p>{text}</p>\n{form}</body>\n</html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (status, headers, body).into_response()
}
