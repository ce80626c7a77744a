//! `cresset receive`: an endpoint of rest-hook subscriptions for trying things out.
//!
//! It prints what comes, tells from the numbers what came twice or is missing, and misbehaves if asked to.

use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use cresset_client::{Delivery, Limits, Notification, Receiver, Sequence, Start, Step, Verifier};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::cli::remote::Receive;
use crate::remote::{EndSignals, run};
use crate::terminal::{Paint, note};

#[cfg(test)]
mod tests;

/// Most subscriptions whose numbers are followed; of others, notifications are only printed.
const SUBSCRIPTIONS_MAX: usize = 10_000;

/// Receives until it is asked to end.
pub(crate) fn receive(arguments: &Receive) -> anyhow::Result<ExitCode> {
    run(serve(arguments))
}

async fn serve(arguments: &Receive) -> anyhow::Result<ExitCode> {
    let endpoint = Arc::new(Endpoint {
        arguments: arguments.clone(),
        taken: Mutex::default(),
        enough: Notify::new(),
    });
    let taker = endpoint.clone();
    let mut receiver = Receiver::new(move |delivery| {
        let endpoint = taker.clone();
        async move { endpoint.answer(&delivery).await }
    });
    if let Some(file) = &arguments.key_file {
        let read = || format!("{} cannot be read", file.display());
        let keys = fs::read_to_string(file).with_context(read)?;
        let keys = keys.lines().map(str::trim).filter(|line| !line.is_empty());
        let verifier = Verifier::new(keys);
        receiver =
            receiver.verified(verifier.with_context(|| format!("a key in {}", file.display()))?);
    }
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    note(&format!("listening on http://{}", listener.local_addr()?));
    let server = axum::serve(listener, Router::new().fallback_service(receiver));
    let enough = endpoint.clone();
    let mut end = EndSignals::new()?;
    let ended = server.with_graceful_shutdown(async move {
        tokio::select! {
            () = enough.enough.notified() => {}
            () = end.any() => {}
        }
    });
    ended.await.context("receiving ended")?;
    Ok(ExitCode::SUCCESS)
}

struct Endpoint {
    arguments: Receive,
    taken: Mutex<Taken>,
    enough: Notify,
}

#[derive(Default)]
struct Taken {
    sequences: HashMap<String, Sequence>,
    notifications: u64,
}

impl Endpoint {
    async fn answer(&self, delivery: &Delivery) -> StatusCode {
        if let Some(delay) = self.arguments.slow {
            tokio::time::sleep(delay).await;
        }
        let chance = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        let fails = chance < self.arguments.fail;
        let status = if fails {
            StatusCode::from_u16(self.arguments.fail_status).unwrap_or(StatusCode::BAD_GATEWAY)
        } else {
            StatusCode::OK
        };
        let told = if fails { None } else { self.take(&delivery.notification) };
        let printed = crate::print(&self.shown(delivery, status, told.as_deref()));
        if let Err(error) = printed {
            note(&format!("cresset: {error:#}"));
        }
        status
    }

    /// Counts a notification; says what its numbers tell.
    fn take(&self, notification: &Arc<Notification>) -> Option<String> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.notifications += 1;
        if self.arguments.count.is_some_and(|count| taken.notifications >= count) {
            self.enough.notify_one();
        }
        let known = taken.sequences.contains_key(&notification.subscription);
        // A handshake counts events that are still to come, so the first event says where it begins.
        let begins = !notification.events.is_empty() && taken.sequences.len() < SUBSCRIPTIONS_MAX;
        if !known && !begins {
            return None;
        }
        let begin = || Sequence::new(Start::Now, Limits::default());
        let of = notification.subscription.clone();
        told(taken.sequences.entry(of).or_insert_with(begin), notification)
    }

    fn shown(&self, delivery: &Delivery, status: StatusCode, told: Option<&str>) -> String {
        let notification = &delivery.notification;
        let numbers: Vec<u64> =
            notification.events.iter().map(|event| event.number.get()).collect();
        if self.arguments.json {
            let bundle: Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
            let json = json!({
                "type": notification.kind.code(),
                "subscription": notification.subscription,
                "events": numbers,
                "answered": status.as_u16(),
                "message": delivery.message_id,
                "note": told,
                "bundle": bundle,
            });
            return format!("{json}\n");
        }
        let paint = Paint::stdout();
        let code = status.as_u16().to_string();
        let code = if status.is_success() { paint.good(&code) } else { paint.bad(&code) };
        let mut text = format!("{code} {} {}", notification.kind, notification.subscription);
        for event in &notification.events {
            let focus = event.focus.as_ref().and_then(|focus| focus.reference.as_deref());
            text.push(' ');
            text.push_str(&paint.bold(&event.number.to_string()));
            text.extend(focus.map(|focus| format!(" {focus}")));
        }
        text.extend(told.map(|told| format!(" {}", paint.odd(told))));
        format!("{text}\n")
    }
}

/// Takes a notification into the numbers of its subscription; says what is unusual.
fn told(sequence: &mut Sequence, notification: &Arc<Notification>) -> Option<String> {
    let before = sequence.missing();
    if let Err(fault) = sequence.take(notification.clone()) {
        return Some(format!("({fault})"));
    }
    let mut new = 0;
    while let Some(Step::Event(_)) = sequence.next_step() {
        new += 1;
    }
    let missing = sequence.missing();
    let events = notification.events.len();
    if let Some(range) = sequence.wanted().filter(|_| missing > before) {
        return Some(format!("(missing: {} to {})", range.start(), range.end()));
    }
    (events > 0 && new == 0 && missing == before && before == 0).then(|| "(sent before)".to_owned())
}
