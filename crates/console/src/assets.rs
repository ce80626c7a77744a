//! Style, scripts and icon: few and small, compiled in.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::context::not_found;
use crate::failure::{Answer, Failure};

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// How long a browser may keep one without asking: a new version of the server soon has its own.
const CACHE: &str = "private, max-age=300";

/// `GET /console/assets/[name]`
pub(crate) async fn asset(Path(name): Path<String>) -> Answer {
    let (content_type, text) = match name.as_str() {
        "console.css" => (CSS, include_str!("../assets/console.css")),
        "console.js" => (SCRIPT, include_str!("../assets/console.js")),
        "live.js" => (SCRIPT, include_str!("../assets/live.js")),
        "topic.js" => (SCRIPT, include_str!("../assets/topic.js")),
        "icon.svg" => ("image/svg+xml", include_str!("../assets/icon.svg")),
        _ => return Err(Failure(not_found("there is no such file"))),
    };
    Ok(answer(content_type, text))
}

fn answer(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, CACHE)], text).into_response()
}
