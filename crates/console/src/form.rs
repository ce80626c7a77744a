//! What pages send: the fields of a query or form, and the proof that a form is ours.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use cresset_model::IssueCode;
use cresset_node::{Error, Kind, is_own_host, is_own_origin};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::Duration;
use url::form_urlencoded;

use crate::context::{Context, bad_input};
use crate::failure::Failure;
use crate::session::Session;

/// Bytes of a form at most: room for two versions of a large resource.
const FORM_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of what somebody sends who has not logged in.
const LOGIN_BYTES_MAX: usize = 16 * 1024;

/// How long a form may take to arrive.
const FORM_TIME_MAX: Duration = Duration::from_secs(30);

/// The field that proves that a form is of a page of ours; scripts send it as a field, too.
const CSRF: &str = "csrf";

/// The fields of a query or form.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// A field without blanks around it; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(one, _)| one == name);
        found.map_or("", |(_, value)| value.trim())
    }

    /// A field that is not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// A number, if the field is filled.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        let number = |text: &str| {
            text.parse().map_err(|_| bad_input(format!("the field '{name}' takes a whole number")))
        };
        self.filled(name).map(number).transpose()
    }
}

impl FromRequestParts<Context> for Form {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Context) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default().as_bytes()))
    }
}

/// A form that a page of ours sent, by whom.
///
/// There is no other way to the body of a request, so no handler of a POST can leave out the checks.
pub(crate) struct Post {
    pub(crate) session: Session,
    pub(crate) form: Form,
}

impl FromRequest<Context> for Post {
    type Rejection = Response;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, context).await?;
        check_site(&parts.headers, context.node.base_url()).map_err(refused)?;
        let form = read(body, FORM_BYTES_MAX).await.map_err(refused)?;
        if !session.owns(form.text(CSRF)) {
            return Err(refused(foreign()));
        }
        Ok(Self { session, form })
    }
}

/// The form of somebody who has not logged in.
pub(crate) struct Stranger(pub(crate) Form);

impl FromRequest<Context> for Stranger {
    type Rejection = Response;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        check_site(&parts.headers, context.node.base_url()).map_err(refused)?;
        read(body, LOGIN_BYTES_MAX).await.map(Self).map_err(refused)
    }
}

/// Reads the body of a form.
async fn read(body: Body, bytes_max: usize) -> Result<Form, Error> {
    let read = tokio::time::timeout(FORM_TIME_MAX, Limited::new(body, bytes_max).collect()).await;
    let read = read.map_err(|_| {
        let text = "the form did not arrive in time";
        Error::of(Kind::Timeout, IssueCode::Timeout, text)
    })?;
    let bytes = read.map_err(|_| {
        let text = format!("the form is larger than {bytes_max} bytes, or not complete");
        Error::of(Kind::TooLarge, IssueCode::BodyTooLarge, text)
    })?;
    Ok(Form::parse(&bytes.to_bytes()))
}

/// Refuses what comes from a page of another site, as far as the browser says.
fn check_site(headers: &HeaderMap, base_url: &str) -> Result<(), Error> {
    let text = |name: &'static str| {
        headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or_default())
    };
    let host = text("host");
    // Also where the browser says that the page is of the same origin: both may have a name that
    // somebody lets point here.
    if !host.is_some_and(|host| is_own_host(host, base_url)) {
        let text = "the console is used at the host of server.base-url, at localhost or at an \
                    address of the server";
        return Err(Error::of(Kind::Forbidden, IssueCode::Forbidden, text));
    }
    let is_own = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => is_own_origin(origin, base_url, host),
        // No browser: what proves the form is in it.
        (None, None) => true,
    };
    if is_own { Ok(()) } else { Err(foreign()) }
}

fn foreign() -> Error {
    let text = "this form was not sent by a page of this session: open the page anew and try again";
    Error::of(Kind::Forbidden, IssueCode::Forbidden, text)
}

fn refused(error: Error) -> Response {
    Failure(error).into_response()
}
