//! Whether the process lives, and whether it takes requests.

use axum::extract::State;
use axum::http::StatusCode;

use crate::context::Context;

/// The process answers.
pub(crate) async fn live() -> &'static str {
    "live\n"
}

/// The node takes writes, or says 503.
pub(crate) async fn ready(State(context): State<Context>) -> (StatusCode, &'static str) {
    if context.node.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
