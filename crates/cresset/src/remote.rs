//! What the commands that talk to servers share: a runtime, a client, the token.

use std::future::Future;
use std::path::Path;
use std::{env, fs};

use anyhow::Context;
use cresset_client::Client;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::remote::Server;

/// The variable that holds a bearer token.
const TOKEN: &str = "CRESSET_TOKEN";

/// Runs a command to its end.
pub(crate) fn run<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(command)
}

/// A client of the server that was named.
pub(crate) fn client(server: &Server) -> anyhow::Result<Client> {
    client_of(&server.server, server.token_file.as_deref())
}

/// A client of a server.
pub(crate) fn client_of(base: &str, token_file: Option<&Path>) -> anyhow::Result<Client> {
    let client = Client::new(base)?;
    Ok(match token(token_file)? {
        Some(token) => client.bearer(token),
        None => client,
    })
}

/// The bearer token of a file, or of the environment.
pub(crate) fn token(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let token = match file {
        Some(file) => Some(
            fs::read_to_string(file)
                .with_context(|| format!("{} cannot be read", file.display()))?,
        ),
        None => env::var(TOKEN).ok(),
    };
    Ok(token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()))
}

/// What asks a command to end: the user by SIGINT, the system by SIGTERM.
pub(crate) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// From now on the signals do not end the process by themselves.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be waited for");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for one.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
