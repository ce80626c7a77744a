//! Logging in and out.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use cresset_model::IssueCode;
use cresset_node::{Error, Kind};
use tokio::time::Instant;
use url::form_urlencoded;

use crate::console::PATH;
use crate::context::Context;
use crate::failure::{Answer, Failure};
use crate::form::{Form, Post, Stranger};
use crate::page::{Page, go_to, html};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    page: Page,
    next: String,
    asks_nothing: bool,
    asks_user: bool,
    problem: Option<String>,
}

impl LoginPage {
    fn new(context: &Context, next: &str, problem: Option<String>) -> Self {
        Self {
            page: Page::new(context, None, ""),
            next: own_path(next).to_owned(),
            asks_nothing: context.asks_nothing(),
            asks_user: context.config.password.is_some(),
            problem,
        }
    }
}

/// `GET /console/login`
pub(crate) async fn page(
    State(context): State<Context>,
    query: Form,
    headers: HeaderMap,
) -> Response {
    if context.sessions.of(&headers).is_some() {
        return go_to(&context, own_path(query.text("next")));
    }
    html(&LoginPage::new(&context, query.text("next"), None))
}

/// `POST /console/login`
pub(crate) async fn log_in(State(context): State<Context>, Stranger(form): Stranger) -> Answer {
    // Tokens are drawn at random: nobody guesses one, and who has one is never kept out.
    let by_password = !form.text("user").is_empty();
    if let Some(left) = context.sessions.closed_for(Instant::now()).filter(|_| by_password) {
        let seconds = left.as_secs() + 1;
        let text = format!("Too many wrong logins. Try again in {seconds} seconds.");
        let again = LoginPage::new(&context, form.text("next"), Some(text));
        let headers = [(header::RETRY_AFTER, seconds.to_string())];
        return Ok((StatusCode::TOO_MANY_REQUESTS, headers, html(&again)).into_response());
    }
    let Some(caller) = context.caller(form.text("user"), form.text("secret")) else {
        if by_password {
            context.sessions.count_wrong(Instant::now());
        }
        tracing::warn!("a wrong login at the console");
        let text = "That is not known here, or is no administrator's.".to_owned();
        let again = LoginPage::new(&context, form.text("next"), Some(text));
        return Ok((StatusCode::UNAUTHORIZED, html(&again)).into_response());
    };
    tracing::info!(client = %caller.client(), "a login at the console");
    let token = context.sessions.begin(caller);
    let token = token.ok_or_else(|| Error::internal("the system gives no random bytes"))?;
    let cookie = context.sessions.cookie(Some(&token), &context.root, context.is_secure);
    let next = go_to(&context, own_path(form.text("next")));
    Ok(([(header::SET_COOKIE, cookie)], next).into_response())
}

/// `POST /console/logout`
pub(crate) async fn log_out(State(context): State<Context>, post: Post) -> Response {
    context.sessions.end(&post.session);
    let cookie = context.sessions.cookie(None, &context.root, context.is_secure);
    ([(header::SET_COOKIE, cookie)], go_to(&context, "/login")).into_response()
}

/// What is answered without a session: the login, or a refusal of what is no page.
pub(crate) fn required(context: &Context, method: &Method, uri: &Uri) -> Response {
    if method == Method::GET && !uri.path().ends_with("/stream") {
        let path = uri.path_and_query().map_or("", |one| one.as_str());
        let path = path.strip_prefix(PATH).unwrap_or(path);
        let next: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
        return go_to(context, &format!("/login?next={next}"));
    }
    let text = "your session has ended: log in again";
    Failure(Error::of(Kind::Unauthenticated, IssueCode::LoginRequired, text)).into_response()
}

/// A path below the console to go on to; the first page for anything else, so that no link leads from
/// here to another site.
fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', ':']);
    if is_own { next } else { "/" }
}
