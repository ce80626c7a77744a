//! E and S: what HTTP alone costs, with and without a body in the answer.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;

use crate::observation::CREATE_PATH;

/// Serves E: each POST is answered with its body.
///
/// # Errors
/// When no port can be had.
pub fn serve_echo() -> anyhow::Result<()> {
    super::serve(|| {
        Router::new().route(CREATE_PATH, post(async |body: Bytes| (StatusCode::CREATED, body)))
    })
}

/// Serves S: each POST is read and answered without a body.
///
/// # Errors
/// When no port can be had.
pub fn serve_sink() -> anyhow::Result<()> {
    let sink = async |body: Bytes| {
        drop(body);
        StatusCode::CREATED
    };
    super::serve(|| Router::new().route(CREATE_PATH, post(sink)))
}
