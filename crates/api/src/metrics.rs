//! `GET /metrics`: what the server counts and where it stands, for Prometheus and those who read its
//! formats. `docs/metrics.md` is made from the list of names.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cresset_model::IssueCode;
use cresset_node::{Caller, Error, Figures, Kind, StateFigures};

use crate::context::{Answer, Context, Request};
use crate::negotiate;

mod exposition;
mod names;
mod process;
#[cfg(test)]
mod tests;

use exposition::{Exposition, Form};

/// Who may read metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Nobody.
    Off,
    /// Everybody who reaches the server.
    Open,
    /// Clients with the right `metrics`.
    Right,
}

/// `GET /metrics`
pub(crate) async fn metrics(State(context): State<Context>, request: Request) -> Answer<Response> {
    let caller = match context.config.metrics {
        MetricsAccess::Off => {
            let text = "metrics are switched off here";
            return Err(Error::of(Kind::NotFound, IssueCode::UnknownPath, text).into());
        }
        MetricsAccess::Open => Caller::of_metrics(),
        MetricsAccess::Right => {
            let authorization = negotiate::text(&request.headers, header::AUTHORIZATION);
            context.node.authenticate(authorization)?
        }
    };
    let figures = context.node.figures(&caller)?;
    // A store that cannot be read is no reason to tell nothing.
    let state = context.node.state_figures(&caller).await.ok();
    let form = Form::of_accept(negotiate::text(&request.headers, header::ACCEPT));
    let mut exposition = Exposition::new(form);
    exposition.family(&names::BUILD_INFO).value(&[env!("CARGO_PKG_VERSION")], 1);
    write_log(&mut exposition, &figures, state.as_deref());
    write_delivery(&mut exposition, &figures, state.as_deref());
    write_http(&mut exposition, &context);
    write_watchers(&mut exposition, &figures);
    let start = Duration::try_from(figures.started.duration_since(jiff::Timestamp::UNIX_EPOCH));
    exposition.single(&names::PROCESS_START, start.unwrap_or_default().as_secs_f64());
    process::write(&mut exposition);
    Ok(([(header::CONTENT_TYPE, form.mime())], exposition.finish()).into_response())
}

/// Changes, evaluations, commits, and what follows the log.
fn write_log(exposition: &mut Exposition, figures: &Figures, state: Option<&StateFigures>) {
    let mut changes = exposition.family(&names::CHANGES);
    for one in &figures.changes {
        changes.value(&[&one.version.to_string(), one.interaction.code()], one.count);
    }
    exposition.single(&names::OCCURRENCES, figures.occurrences);
    let evaluations = &figures.evaluation_seconds;
    exposition.family(&names::EVALUATION_SECONDS).distribution(&[], evaluations);
    exposition.single(&names::MATCHES, figures.matches);
    exposition.single(&names::EVALUATION_PROBLEMS, figures.evaluation_problems);
    exposition.single(&names::EVENTS_APPENDED, figures.events_appended);
    exposition.single(&names::EVENTS_FORGOTTEN, figures.events_forgotten);
    exposition.family(&names::COMMIT_CHANGES).distribution(&[], &figures.group_changes);
    exposition.family(&names::COMMIT_SECONDS).distribution(&[], &figures.commit_seconds);
    exposition.single(&names::COMMITS_FAILED, figures.commits_failed);
    exposition.single(&names::WRITE_QUEUE, figures.write_queue);
    exposition.single(&names::INDEX_LAG_CHANGES, figures.index_lag_changes);
    let Some(state) = state else { return };
    let lag = state.index_lag.unwrap_or_default().as_secs_f64();
    exposition.single(&names::INDEX_LAG_SECONDS, lag);
    if !state.store_bytes.is_empty() {
        let mut bytes = exposition.family(&names::STORE_BYTES);
        for (part, count) in &state.store_bytes {
            bytes.value(&[*part], count);
        }
    }
}

/// Subscriptions, attempts and sockets.
fn write_delivery(exposition: &mut Exposition, figures: &Figures, state: Option<&StateFigures>) {
    if let Some(state) = state {
        let mut subscriptions = exposition.family(&names::SUBSCRIPTIONS);
        for one in &state.subscriptions {
            subscriptions.value(&[one.status.code(), one.channel_type], one.subscriptions);
        }
        let mut undelivered = exposition.family(&names::UNDELIVERED_EVENTS);
        for one in &state.subscriptions {
            undelivered.value(&[one.status.code(), one.channel_type], one.lag);
        }
        let age = state.oldest_undelivered_age.unwrap_or_default().as_secs_f64();
        exposition.single(&names::OLDEST_UNDELIVERED, age);
    }
    let mut changes = exposition.family(&names::SUBSCRIPTION_STATUS_CHANGES);
    figures.status_changes.iter().for_each(|(to, count)| changes.value(&[to.code()], count));
    write_channels(exposition, figures);
    exposition.single(&names::ATTEMPTS_RUNNING, figures.attempts_running);
    exposition.single(&names::ATTEMPTS_WAITING, figures.attempts_waiting);
    exposition.single(&names::BREAKERS_OPEN, figures.breakers_open);
    exposition.single(&names::WEBSOCKETS, figures.websockets);
    exposition.single(&names::WEBSOCKETS_UNBOUND, figures.websockets_unbound);
    exposition.single(&names::WEBSOCKET_BINDINGS, figures.websocket_bindings);
}

fn write_channels(exposition: &mut Exposition, figures: &Figures) {
    let mut lag = exposition.family(&names::DELIVERY_LAG_SECONDS);
    for channel in &figures.channels {
        lag.distribution(&[channel.channel_type], &channel.lag_seconds);
    }
    let mut delivered = exposition.family(&names::EVENTS_DELIVERED);
    for channel in &figures.channels {
        delivered.value(&[channel.channel_type], channel.events_delivered);
    }
    let mut attempts = exposition.family(&names::ATTEMPTS);
    for channel in &figures.channels {
        for one in &channel.attempts {
            let labels = [channel.channel_type, one.notification_type.code(), one.outcome.as_str()];
            attempts.value(&labels, one.count);
        }
    }
    let mut seconds = exposition.family(&names::ATTEMPT_SECONDS);
    let timed = |channel: &&cresset_node::ChannelFigures| channel.channel_type != "websocket";
    for channel in figures.channels.iter().filter(timed) {
        seconds.distribution(&[channel.channel_type], &channel.attempt_seconds);
    }
}

fn write_http(exposition: &mut Exposition, context: &Context) {
    let figures = &context.http;
    let mut requests = exposition.family(&names::HTTP_REQUESTS);
    for (method, status, count) in figures.answered() {
        requests.value(&[method, &status.to_string()], count);
    }
    let mut seconds = exposition.family(&names::HTTP_REQUEST_SECONDS);
    for (method, distribution) in figures.seconds() {
        seconds.distribution(&[method], &distribution);
    }
    let running = context.config.requests_max - context.requests.available_permits();
    exposition.single(&names::HTTP_REQUESTS_RUNNING, running);
    let mut refused = exposition.family(&names::HTTP_REQUESTS_REFUSED);
    for (reason, count) in figures.refused() {
        refused.value(&[reason], count);
    }
}

/// The audit trail and traces.
fn write_watchers(exposition: &mut Exposition, figures: &Figures) {
    if let Some(audit) = figures.audit {
        exposition.single(&names::AUDIT_EVENTS, audit.written);
        exposition.single(&names::AUDIT_EVENTS_LOST, audit.lost);
    }
    if let Some(spans) = figures.spans {
        exposition.single(&names::SPANS_EXPORTED, spans.exported);
        exposition.single(&names::SPANS_DROPPED, spans.dropped);
    }
}
