//! A relay that misbehaves as it is told, mail by mail.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::server::Options;
use crate::wait::until;

/// What the relay does with one mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Breaks the connection when it has the mail, without a word.
    Break,
    /// Says nothing any more.
    Hang,
    /// Answers the recipient with this.
    Recipient(&'static str),
    /// Takes it.
    Take,
    /// Answers the mail with this when it has it.
    Content(&'static str),
}

/// A relay on a free port of loopback, without encryption; ends when dropped.
pub struct BadRelay {
    port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    manners: Mutex<VecDeque<Manner>>,
    /// The mails that were sent, or begun, with what became of them.
    seen: Mutex<Vec<(Manner, String)>>,
}

impl BadRelay {
    /// Starts one that takes everything once it has been through these manners.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(manners: impl IntoIterator<Item = Manner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        shared.manners().extend(manners);
        let served = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = served.clone();
                // A client that goes away ends its session.
                tokio::spawn(async move { drop(shared.converse(stream).await) });
            }
        });
        Self { port, shared, task }
    }

    /// The options of a server that sends its mails through this relay, without asking receivers.
    pub fn options(&self) -> Options {
        Options::default()
            .set("email.relay", "127.0.0.1")
            .set("email.port", i64::from(self.port))
            .set("email.security", "plain")
            .set("email.from", "notifications@cresset.test")
            .set("email.confirm", false)
    }

    /// Has the next mails treated so.
    pub fn script(&self, manners: impl IntoIterator<Item = Manner>) {
        self.shared.manners().extend(manners);
    }

    /// Has the next mails taken, whatever was said before.
    pub fn forget_script(&self) {
        self.shared.manners().clear();
    }

    /// The mails so far, with what became of each; of one whose recipient was refused there is no
    /// text.
    pub fn seen(&self) -> Vec<(Manner, String)> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until there have been so many mails.
    ///
    /// # Panics
    /// If they do not come in time.
    pub async fn wait_for(&self, count: usize) -> Vec<(Manner, String)> {
        until(&format!("{count} mails"), || {
            let seen = self.seen();
            std::future::ready((seen.len() >= count).then_some(seen))
        })
        .await
    }
}

impl Drop for BadRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn manners(&self) -> std::sync::MutexGuard<'_, VecDeque<Manner>> {
        self.manners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, manner: Manner, mail: String) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((manner, mail));
    }

    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 bad.test\r\n").await?;
        let mut manner = Manner::Take;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let answer = match line.get(..4).unwrap_or_default() {
                "MAIL" => {
                    manner = self.manners().pop_front().unwrap_or(Manner::Take);
                    "250 ok"
                }
                "RCPT" => match manner {
                    Manner::Recipient(answer) => {
                        self.note(manner, String::new());
                        answer
                    }
                    Manner::Break | Manner::Content(_) | Manner::Hang | Manner::Take => "250 ok",
                },
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let mail = content(&mut stream).await?;
                    self.note(manner, mail);
                    match manner {
                        Manner::Break => return Ok(()),
                        Manner::Hang => std::future::pending().await,
                        Manner::Content(answer) => answer,
                        Manner::Recipient(_) | Manner::Take => "250 taken",
                    }
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }
}

/// The mail up to the line with a dot.
async fn content(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut content = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(content);
        }
        content.push_str(&line);
    }
}
