//! Parts of a page that are renewed while somebody looks: server-sent events, each with the HTML of one
//! part, sent when it has changed.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use cresset_model::IssueCode;
use cresset_node::{Error, Kind};
use futures_util::stream;
use rustc_hash::FxHashMap;
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::context::Context;
use crate::failure::Answer;
use crate::session::Session;

/// The HTML of parts, by name.
pub(crate) type Parts = Vec<(&'static str, String)>;

/// Sends parts whenever they have changed, looking every `period`; ends with the session, with the
/// server, and when there is nothing to send any more.
pub(crate) fn of_parts<F>(
    context: Context,
    session: Session,
    period: Duration,
    render: impl Fn(Context) -> F + Send + Sync + 'static,
) -> Answer
where
    F: Future<Output = Option<Parts>> + Send + 'static,
{
    let Ok(place) = context.streams.clone().try_acquire_owned() else {
        let text = "too many pages are open that renew themselves";
        return Err(Error::of(Kind::Unavailable, IssueCode::Unavailable, text).into());
    };
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let render = Arc::new(render);
    let state = (ticks, FxHashMap::default(), Parts::new(), place);
    let events = stream::unfold(state, move |(mut ticks, mut sent, mut due, place)| {
        let (context, session, render) = (context.clone(), session.clone(), render.clone());
        async move {
            while due.is_empty() {
                let _at = ticks.tick().await;
                if !context.node.is_ready() || !context.sessions.is_alive(&session) {
                    return None;
                }
                for (name, text) in render(context.clone()).await? {
                    if sent.get(name) != Some(&text) {
                        sent.insert(name, text.clone());
                        due.push((name, text));
                    }
                }
            }
            let (name, text) = due.pop()?;
            let event = Event::default().event(name).data(text);
            Some((Ok::<_, Infallible>(event), (ticks, sent, due, place)))
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}
