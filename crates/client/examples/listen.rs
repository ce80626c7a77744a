//! Subscribes to a topic, prints its events as they come, and deletes the subscription on Ctrl-C.
//!
//! `cargo run -p cresset-client --example listen -- http://localhost:8080/r5 http://example.org/topics/admission`
#![expect(clippy::print_stdout, reason = "it is what it is for")]

use std::error::Error;
use std::pin::pin;

use cresset_client::{Client, Listener, Options, Start, Subscription, Update};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(base), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: listen BASE TOPIC".into());
    };
    let client = Client::new(&base)?;
    let version = client.capabilities().await?.version;
    let created = client.subscribe(version, &Subscription::websocket(&topic)).await?;
    let id = created.id.ok_or("the server gave no id")?;
    let mut listener = Listener::new(client.clone(), &id, Start::After(0), Options::default());
    let mut end = pin!(tokio::signal::ctrl_c());
    loop {
        let update = tokio::select! {
            update = listener.next() => update?,
            _ = &mut end => break,
        };
        if let Update::Event(arrival) = update {
            let focus = arrival.event.focus.and_then(|focus| focus.reference);
            println!("{} {}", arrival.event.number, focus.unwrap_or_default());
        } else {
            // Events lost, the connection, heartbeats: see `Update`.
            println!("{update:?}");
        }
    }
    client.unsubscribe(&id).await?;
    Ok(())
}
