//! A way to a broker that stays the same while the broker moves.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes of an answer that are passed on, or held, in one go.
const PIECE_BYTES: usize = 64 * 1024;

/// Passes connections on to whatever address it was last given.
pub struct Detour {
    address: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
    held: watch::Sender<bool>,
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
        let (leads_to, held) = (target.clone(), watch::Sender::new(false));
        let holds = held.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let to: Option<SocketAddr> = *leads_to.lock().expect("no panic in tests' own code");
                if let Some(to) = to {
                    let held = holds.subscribe();
                    // Either side may end it.
                    tokio::spawn(async move { drop(pass(client, to, held).await) });
                }
            }
        });
        Self { address, target, held, task }
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

impl Detour {
    /// Keeps what the broker answers back from now on, or lets it go on its way.
    pub fn hold_answers(&self, hold: bool) {
        self.held.send_replace(hold);
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    client: TcpStream,
    to: SocketAddr,
    mut held: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = TcpStream::connect(to).await?.into_split();
    let answers = async {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = from_broker.read(&mut piece).await?;
            let is_free = held.wait_for(|held| !held).await.is_ok();
            if length == 0 || !is_free {
                return Ok(());
            }
            to_client.write_all(&piece[..length]).await?;
        }
    };
    tokio::select! {
        asked = copy(&mut from_client, &mut to_broker) => asked.map(drop),
        answered = answers => answered,
    }
}
