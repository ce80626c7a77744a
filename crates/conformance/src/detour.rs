//! A way to a broker that stays the same while the broker moves.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes connections on to whatever address it was last given.
pub struct Detour {
    address: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Detour {
    /// One that leads nowhere yet.
    ///
    /// # Panics
    /// If there is no port to listen on.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let target = Arc::new(Mutex::new(None));
        let leads_to = target.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let to: Option<SocketAddr> = *leads_to.lock().expect("no panic in tests' own code");
                if let Some(to) = to {
                    tokio::spawn(pass(client, to));
                }
            }
        });
        Self { address, target, task }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections there, or nowhere.
    ///
    /// # Panics
    /// If a thread of the test panicked.
    pub fn lead_to(&self, target: Option<SocketAddr>) {
        *self.target.lock().expect("no panic in tests' own code") = target;
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, to: SocketAddr) {
    if let Ok(mut broker) = TcpStream::connect(to).await {
        // Either side may end it.
        drop(tokio::io::copy_bidirectional(&mut client, &mut broker).await);
    }
}
