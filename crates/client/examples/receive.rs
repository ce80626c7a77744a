//! An endpoint for rest-hook subscriptions that counts each event once and says what is missing.
//!
//! `cargo run -p cresset-client --example receive -- 127.0.0.1:9000 whsec_…`
#![expect(clippy::print_stdout, reason = "it is what it is for")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use cresset_client::{Delivery, Limits, Receiver, Sequence, Start, Step, Verifier};
use http::StatusCode;

/// Most subscriptions that are told apart.
const SUBSCRIPTIONS_MAX: usize = 1000;

/// A sequence for each subscription. A program that must not lose events keeps their cursors on disk.
type Sequences = Arc<Mutex<HashMap<String, Sequence>>>;

fn take(sequences: &Sequences, delivery: Delivery) -> StatusCode {
    let mut sequences = sequences.lock().unwrap_or_else(PoisonError::into_inner);
    let subscription = delivery.notification.subscription.clone();
    if sequences.len() >= SUBSCRIPTIONS_MAX && !sequences.contains_key(&subscription) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    // Also what happened before the handshake is wanted.
    let begin = || Sequence::new(Start::After(0), Limits::default());
    let sequence = sequences.entry(subscription).or_insert_with(begin);
    if let Err(fault) = sequence.take(delivery.notification) {
        println!("{fault}");
        return StatusCode::BAD_REQUEST;
    }
    while let Some(Step::Event(arrival)) = sequence.next_step() {
        println!("event {}", arrival.event.number);
    }
    if let Some(range) = sequence.wanted() {
        println!("missing: {range:?}, to be asked of $events");
    }
    StatusCode::OK
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: receive ADDRESS [KEY…]")?;
    let keys: Vec<String> = arguments.collect();
    let sequences = Sequences::default();
    let mut receiver = Receiver::new(move |delivery| {
        let status = take(&sequences, delivery);
        async move { status }
    });
    if !keys.is_empty() {
        receiver = receiver.verified(Verifier::new(keys.iter().map(String::as_str))?);
    }
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().fallback_service(receiver)).await?;
    Ok(())
}
