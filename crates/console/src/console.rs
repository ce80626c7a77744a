//! Which page answers which path, and what holds for all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get, post};
use cresset_model::ClientName;
use cresset_node::{Node, TokenHash};

use crate::context::Context;
use crate::{
    assets, explain, failure, live, login, overview, subscription, subscriptions, topic, topics,
    try_it,
};

/// Where the pages are, below the URL of the server.
pub(crate) const PATH: &str = "/console";

/// Who may log in, and for how long.
#[derive(Debug, Clone)]
pub struct Config {
    /// A user and a password, besides tokens with the right `admin`.
    pub password: Option<Password>,
    /// How long a session lasts.
    pub session_lifetime: Duration,
}

/// A user of the console alone.
#[derive(Debug, Clone)]
pub struct Password {
    /// The name to log in with; the author of what is done then.
    pub user: ClientName,
    /// The hash of the password.
    pub hash: TokenHash,
}

/// The routes of the console, with their paths from the root of the server on. Must be called within a
/// tokio runtime: the rates that the first page shows are taken from now on.
pub fn router(node: Arc<Node>, config: Config) -> Router {
    let context = Context::new(node, config);
    tokio::spawn(crate::samples::take(context.clone()));
    Router::new()
        // Behind the slash there is no path for the nested routes.
        .route(&format!("{PATH}/"), get(overview::page))
        .nest(PATH, pages())
        .layer(middleware::from_fn_with_state(context.clone(), failure::dress))
        .with_state(context)
}

fn pages() -> Router<Context> {
    Router::new()
        .route("/", get(overview::page))
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/assets/{name}", get(assets::asset))
        .route("/overview/stream", get(overview::stream))
        .route("/subscriptions", get(subscriptions::page))
        .route("/subscriptions/{version}/{id}", get(subscription::page))
        .route("/subscriptions/{version}/{id}/handshake", post(subscription::handshake))
        .route("/subscriptions/{version}/{id}/off", post(subscription::turn_off))
        .route("/subscriptions/{version}/{id}/resend", post(subscription::resend))
        .route("/subscriptions/{version}/{id}/secret", post(subscription::rotate_secret))
        .route("/subscriptions/{version}/{id}/payload", post(subscription::payload))
        .route("/topics", get(topics::page))
        .route("/topics/new", get(topic::new))
        .route("/topics/check", post(topic::check))
        .route("/topics/save", post(topic::save))
        .route("/topics/{version}/{id}", get(topic::page))
        .route("/topics/{version}/{id}/edit", get(topic::edit))
        .route("/live", get(live::page))
        .route("/live/start", post(live::start))
        .route("/live/end", post(live::end))
        .route("/explain", get(explain::page).post(explain::answer))
        .route("/try", get(try_it::page).post(try_it::write))
        .route("/try/{version}/{type}/{id}/{number}", get(try_it::followed))
        .route("/try/{version}/{type}/{id}/{number}/stream", get(try_it::stream))
        .route("/{*path}", any(failure::unknown_path))
}
