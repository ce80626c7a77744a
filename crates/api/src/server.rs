//! The listening side: connections, their limits, and an orderly end.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use cresset_node::Node;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::context::Context;
use crate::metrics::MetricsAccess;
use crate::router::{bounded, router};

/// How long the listener rests after an error that may pass, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of connections and requests (I10).
#[derive(Debug, Clone)]
pub struct Config {
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// How long the head of a request, and then its body, may take to arrive.
    pub request_time_max: Duration,
    /// Requests under way at the same time; further ones are refused with 503.
    pub requests_max: usize,
    /// Connections at the same time; more wait to be accepted.
    pub connections_max: usize,
    /// Largest frame or message that a client may send on a websocket, in bytes.
    pub socket_frame_bytes_max: usize,
    /// How long a frame may take to be written before the socket is given up.
    pub socket_send_time_max: Duration,
    /// How often a silent socket is pinged; one that stays silent for two periods is given up.
    pub socket_ping_period: Duration,
    /// Origins whose pages may use the server from a browser; `*` stands for all.
    pub cors_origins: Vec<String>,
    /// Whether the paths are served that Medplum's client has built in.
    pub medplum: bool,
    /// Who may read metrics.
    pub metrics: MetricsAccess,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 * 1024 * 1024,
            request_time_max: Duration::from_secs(30),
            requests_max: 1024,
            connections_max: 100_000,
            socket_frame_bytes_max: 64 * 1024,
            socket_send_time_max: Duration::from_secs(30),
            socket_ping_period: Duration::from_secs(60),
            cors_origins: Vec::new(),
            medplum: true,
            metrics: MetricsAccess::Right,
        }
    }
}

/// The HTTP server of a node.
pub struct Server {
    context: Context,
    /// Routes of others.
    beside: axum::Router,
}

impl Server {
    /// A server for this node.
    pub fn new(node: Arc<Node>, config: Config) -> Self {
        Self { context: Context::new(node, config), beside: axum::Router::new() }
    }

    /// Serves these routes, too, with paths that no FHIR version has. They are bounded and counted as
    /// the server's own; what else holds for those, such as CORS, does not hold for them.
    #[must_use]
    pub fn beside(self, routes: axum::Router) -> Self {
        Self { beside: self.beside.merge(routes), ..self }
    }

    /// Serves until `stop` is ready, then lets requests in progress end for at most `grace`.
    ///
    /// Websockets are closed by the node when it stops, not here.
    ///
    /// # Errors
    /// If the listener cannot be used at all.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) -> io::Result<()> {
        let connections = Arc::new(Semaphore::new(self.context.config.connections_max));
        let graceful = GracefulShutdown::new();
        // HTTP/1.1 alone: to find out which version a silent connection will speak has no time limit.
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.context.config.request_time_max);
        let builder = Arc::new(builder);
        let beside = bounded(self.beside, &self.context);
        let service = router(self.context).merge(beside);
        tokio::pin!(stop);
        loop {
            let permit = tokio::select! {
                permit = connections.clone().acquire_owned() => permit,
                () = &mut stop => break,
            };
            let Ok(permit) = permit else { break };
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // One connection that fails, or no file left: neither ends the server.
                        tracing::warn!(%error, "a connection was not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
                () = &mut stop => break,
            };
            // Frames and answers are small and complete; waiting for more only delays them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection without TCP_NODELAY");
            }
            let service = TowerToHyperService::new(service.clone());
            let connection =
                builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended with an error");
                }
                drop(permit);
            });
        }
        drop(listener);
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still in progress at the end of the grace time");
        }
        Ok(())
    }
}
