//! `cresset tail`: the events of a subscription as they come, from any conformant server.
//!
//! Events go to standard output, what happens to the connection to standard error. The subscription is deleted at
//! the end, however that comes.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use cresset_client::{
    Arrival, Capabilities, Client, Error, Listener, Options, Start, Subscription, Update,
};
use serde_json::{Value, json};

use crate::cli::remote::Tail;
use crate::remote::{EndSignals, client, run};
use crate::terminal::{Paint, note};

#[cfg(test)]
mod tests;

/// Exit code where events were lost for good.
const LOST: u8 = 3;
/// Exit code where the server's numbers cannot be true.
const LIED: u8 = 4;
/// How long cleaning up may take.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// Follows a subscription until it is asked to end.
pub(crate) fn tail(arguments: &Tail) -> anyhow::Result<ExitCode> {
    run(follow(arguments))
}

async fn follow(arguments: &Tail) -> anyhow::Result<ExitCode> {
    let client = client(&arguments.server)?;
    let capabilities = client.capabilities().await?;
    // From here on there may be something to clean up.
    let mut end = EndSignals::new()?;
    let (id, start) = match (&arguments.subscription, &arguments.topic) {
        (Some(id), _) => (id.clone(), arguments.after.map_or(Start::Now, Start::After)),
        (None, Some(topic)) => {
            (subscribe(&client, &capabilities, topic, arguments).await?, Start::After(0))
        }
        (None, None) => bail!("name a topic or a subscription"),
    };
    note(&Paint::stderr().dim(&format!("subscription {id}")));
    let options = Options {
        tries_max: arguments.tries,
        content: arguments.subscription.is_none().then_some(arguments.content),
        ..Options::default()
    };
    let mut listener = Listener::new(client.clone(), &id, start, options);
    let mut shown = Shown::new(arguments);
    let followed = tokio::select! {
        followed = shown.all(&mut listener) => followed,
        () = end.any() => Ok(()),
    };
    if arguments.subscription.is_none() && !arguments.keep {
        let deleted = tokio::time::timeout(CLEAN_UP, client.unsubscribe(&id)).await;
        match deleted {
            Ok(deleted) => deleted.with_context(|| format!("subscription {id} was not deleted"))?,
            Err(_) => bail!("subscription {id} was not deleted: the server did not answer"),
        }
        note(&Paint::stderr().dim(&format!("subscription {id} deleted")));
    }
    shown.exit_code(followed)
}

async fn subscribe(
    client: &Client,
    capabilities: &Capabilities,
    topic: &str,
    arguments: &Tail,
) -> anyhow::Result<String> {
    let topics = client.topics(capabilities).await?;
    // A server of R4 need not name its topics (RQ-CF-05).
    if !topics.is_empty() && !topics.iter().any(|one| is_of(one, topic)) {
        bail!("the server does not offer the topic {topic}; it offers\n  {}", topics.join("\n  "));
    }
    let asked = Subscription {
        filters: arguments.filters.iter().flat_map(|filters| filters.0.clone()).collect(),
        content: arguments.content,
        heartbeat_period: arguments.heartbeat_period,
        ..Subscription::websocket(topic)
    };
    let created = client.subscribe(capabilities.version, &asked).await?;
    created.id.context("the server gave the subscription no id")
}

/// Whether a canonical is what was asked for, whatever their versions.
fn is_of(offered: &str, asked: &str) -> bool {
    let without_version = |canonical: &str| canonical.split('|').next().map(str::to_owned);
    without_version(offered) == without_version(asked)
}

/// What was shown.
struct Shown<'a> {
    arguments: &'a Tail,
    out: Paint,
    events: u64,
    lost: u64,
}

impl<'a> Shown<'a> {
    fn new(arguments: &'a Tail) -> Self {
        Self { arguments, out: Paint::stdout(), events: 0, lost: 0 }
    }

    /// Shows all there is, until enough was shown or it cannot go on.
    async fn all(&mut self, listener: &mut Listener) -> anyhow::Result<()> {
        while self.arguments.count.is_none_or(|count| self.events < count) {
            let update = listener.next().await?;
            self.update(update)?;
        }
        Ok(())
    }

    fn update(&mut self, update: Update) -> anyhow::Result<()> {
        let err = Paint::stderr();
        match update {
            Update::Event(arrival) => {
                self.events += 1;
                let json = self.arguments.json;
                let text = if json { as_json(&arrival).to_string() } else { self.line(&arrival) };
                return crate::print(&format!("{text}\n"));
            }
            Update::Lost(numbers) => {
                self.lost += numbers.end() - numbers.start() + 1;
                if self.arguments.json {
                    let lost =
                        json!({ "lost": { "since": numbers.start(), "until": numbers.end() } });
                    return crate::print(&format!("{lost}\n"));
                }
                let text = format!("events {} to {} are lost", numbers.start(), numbers.end());
                note(&err.bad(&text));
            }
            Update::Recovering(numbers) => {
                let text = format!("events {} to {} were missed", numbers.start(), numbers.end());
                note(&err.odd(&text));
            }
            Update::Connected(_) => note(&err.dim("connected")),
            Update::Disconnected(error, delay) => {
                let text = format!("{error}; again in {:.1} s", delay.as_secs_f64());
                note(&err.odd(&text));
            }
            Update::Renewed => note(&err.dim("token renewed")),
            Update::Status(status) => note(&err.dim(&format!("status {status}"))),
            // Nothing to tell, as what a later version of the library may add.
            Update::Heartbeat(_) | _ => {}
        }
        Ok(())
    }

    fn line(&self, arrival: &Arrival) -> String {
        let event = &arrival.event;
        let focus = event.focus.as_ref();
        let focus =
            focus.map(|focus| focus.reference.clone().unwrap_or_else(|| focus.json.to_string()));
        let method = arrival
            .notification
            .entries
            .iter()
            .find(|entry| entry.full_url.is_some() && entry.full_url == focus);
        let method = method.and_then(|entry| entry.method.clone()).unwrap_or_default();
        let words = [
            self.out.bold(&event.number.to_string()),
            self.out.dim(event.timestamp.as_deref().unwrap_or("-")),
            focus.unwrap_or_default(),
            self.out.dim(&method),
        ];
        words.join(" ").trim_end().to_owned()
    }

    fn exit_code(&self, followed: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
        match followed {
            Err(error) if matches!(error.downcast_ref(), Some(Error::Fault(_))) => {
                note(&format!("cresset: {error:#}"));
                Ok(LIED.into())
            }
            Err(error) => Err(error),
            Ok(()) if self.lost > 0 => Ok(LOST.into()),
            Ok(()) => Ok(ExitCode::SUCCESS),
        }
    }
}

/// An event with the resources that came along.
fn as_json(arrival: &Arrival) -> Value {
    let event = &arrival.event;
    let focus = event.focus.as_ref();
    let context: Vec<&Value> = event.additional_context.iter().map(|one| &one.json).collect();
    let mut json = json!({
        "event": event.number.get(),
        "timestamp": event.timestamp,
        "focus": focus.map(|focus| &focus.json),
        "resource": focus.and_then(|focus| arrival.notification.resource(focus)),
        "subscription": arrival.notification.subscription,
        "topic": arrival.notification.topic,
    });
    if !context.is_empty() {
        json["additionalContext"] = json!(context);
    }
    json
}
