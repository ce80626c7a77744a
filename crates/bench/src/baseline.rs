//! The known costs that our figures stand beside, each in a process of its own.
//!
//! Every baseline is this same program started again (`cresset-bench baseline …`), so that its CPU time is read
//! like the server's and its dependencies are built alike. Servers print `listening ADDRESS` and end when their
//! standard input closes, so that none outlives a killed benchmark.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use axum::Router;
use axum::serve::ListenerExt as _;
use serde::de::DeserializeOwned;

use crate::process::Process;

pub mod bare_path;
pub mod broadcaster;
pub mod echo;
pub mod flush;
pub mod scan;
pub mod sender;

/// Worker threads of a baseline server: as many as the server under test takes on two cores.
const WORKERS: usize = 2;

/// What a server says when it is ready, before its address.
const LISTENING: &str = "listening ";

/// A baseline server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// K: the bare durable path.
    BarePath,
    /// W: one frame to every websocket.
    Broadcaster,
    /// E: axum answers each POST with its body.
    Echo,
    /// R: one POST to every endpoint.
    Sender,
    /// S: axum takes each POST and answers nothing.
    Sink,
}

impl Server {
    /// Its letter on the command line.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::BarePath => "k",
            Self::Broadcaster => "w",
            Self::Echo => "e",
            Self::Sender => "r",
            Self::Sink => "s",
        }
    }

    /// Starts it as a child and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(self, data: &Path) -> anyhow::Result<(Process, SocketAddr)> {
        let mut command = this_program()?;
        command.args(["baseline", self.letter(), "--data"]).arg(data);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let output = process.child().stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.strip_prefix(LISTENING).context("the baseline did not start")?;
        Ok((process, address.trim().parse()?))
    }
}

/// Runs a baseline that measures itself and prints its figures as JSON.
///
/// # Errors
/// When it fails.
pub fn measure<T: DeserializeOwned>(arguments: &[String]) -> anyhow::Result<T> {
    let mut command = this_program()?;
    command.arg("baseline").args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output()?;
    anyhow::ensure!(output.status.success(), "baseline {arguments:?}: {}", output.status);
    serde_json::from_slice(&output.stdout).context("reading the figures of a baseline")
}

fn this_program() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("finding this program")?))
}

/// Serves a router, built inside the runtime, on a free port until standard input closes.
fn serve(router: impl FnOnce() -> Router) -> anyhow::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS).enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        writeln!(std::io::stdout().lock(), "{LISTENING}{address}")?;
        let listener = listener.tap_io(|stream| {
            // Without it the answers of small bodies would wait for acknowledgements.
            drop(stream.set_nodelay(true));
        });
        let (ended, closed) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            drop(std::io::stdin().read_to_end(&mut Vec::new()));
            let _ = ended.send(());
        });
        tokio::select! {
            served = axum::serve(listener, router()) => served.context("serving"),
            _ = closed => Ok(()),
        }
    })
}
