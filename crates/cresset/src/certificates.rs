//! Certificate files that are read again on SIGHUP, for every channel that has some.

use anyhow::Context as _;
use cresset_channel::{Email, Error, RestHook};
use cresset_node::Brokers;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The channels.
#[derive(Clone)]
pub(crate) struct Certificates {
    pub(crate) rest_hook: RestHook,
    pub(crate) email: Option<Email>,
    pub(crate) brokers: Brokers,
}

/// SIGHUP, heard from now on: it ends the process no more.
pub(crate) fn hangup() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("SIGHUP cannot be heard")
}

impl Certificates {
    /// Has the files read again on each SIGHUP, for as long as the process lives.
    pub(crate) fn reload_on(self, mut hangup: Signal) {
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                let all = self.clone();
                if let Err(error) = tokio::task::spawn_blocking(move || all.reload()).await {
                    tracing::error!(%error, "reading certificate files panicked");
                }
            }
        });
    }

    /// Reads the files again. A channel one of whose files cannot be used keeps all it has; the others
    /// take up what they read.
    fn reload(&self) {
        let Self { rest_hook, email, brokers } = self;
        tell("rest-hook", rest_hook.reload());
        if let Some(email) = email {
            tell("email", email.reload());
        }
        if let Some(kafka) = &brokers.kafka {
            tell("kafka", kafka.reload());
        }
        if let Some(nats) = &brokers.nats {
            tell("nats", nats.reload());
        }
    }
}

fn tell(channel: &str, reloaded: Result<(), Error>) {
    match reloaded {
        Ok(()) => tracing::info!(channel.r#type = channel, "certificate files were read again"),
        Err(error) => tracing::error!(
            channel.r#type = channel,
            error = &error as &dyn std::error::Error,
            "certificate files cannot be used; those read before are"
        ),
    }
}
