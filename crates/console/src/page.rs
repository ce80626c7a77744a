//! What all pages have around them.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};

use crate::context::Context;
use crate::session::Session;

/// The frame of a page.
pub(crate) struct Page {
    /// The path of the console.
    pub(crate) root: String,
    /// What its forms have to hold; empty before the login.
    pub(crate) csrf: String,
    /// Who has logged in; empty before the login.
    pub(crate) user: String,
    active: &'static str,
}

impl Page {
    pub(crate) fn new(context: &Context, session: Option<&Session>, active: &'static str) -> Self {
        Self {
            root: context.root.clone(),
            csrf: session.map_or_else(String::new, |session| session.csrf.clone()),
            user: session.map_or_else(String::new, |one| one.caller.client().as_str().to_owned()),
            active,
        }
    }

    /// Marks the entry of the navigation that leads here.
    pub(crate) fn current(&self, entry: &str) -> &'static str {
        if self.active == entry { "aria-current=page" } else { "" }
    }
}

/// Renders a page or a part of one.
pub(crate) fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Goes on to a path of the console.
pub(crate) fn go_to(context: &Context, path: &str) -> Response {
    Redirect::to(&format!("{}{path}", context.root)).into_response()
}
