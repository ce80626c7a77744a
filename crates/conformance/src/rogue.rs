//! An endpoint that answers as no HTTP server does.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Largest request taken.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What it does with a notification that tells of events. Handshakes get a proper answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// It closes the connection without a word.
    Close,
    /// 200, and a body that does not end.
    EndlessBody,
    /// 200, and headers that do not end.
    EndlessHead,
    /// Bytes that are no HTTP.
    Garbage,
    /// It resets the connection.
    Reset,
    /// 200, and a body that does not come.
    SlowBody,
    /// The beginning of an answer, and no more.
    SlowHead,
}

/// An endpoint on a free port of loopback that misbehaves; ends when dropped.
pub struct Rogue {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Rogue {
    /// Starts one.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(misbehaviour: Misbehaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // The server ends connections as it likes.
                tokio::spawn(async move { drop(serve(stream, misbehaviour).await) });
            }
        });
        Self { address, task }
    }

    /// URL of the endpoint, with this scheme: over `https`, it does not get as far as a handshake.
    pub fn endpoint(&self, scheme: &str) -> String {
        format!("{scheme}://{}/", self.address)
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers requests until one is misbehaved at.
async fn serve(mut stream: TcpStream, misbehaviour: Misbehaviour) -> std::io::Result<()> {
    loop {
        let request = read_request(&mut stream).await?;
        if !request.contains("handshake") {
            break;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
    match misbehaviour {
        Misbehaviour::Close => Ok(()),
        Misbehaviour::EndlessBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(b"4\r\nmore\r\n").await?;
            }
        }
        Misbehaviour::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"x-more: and more\r\n").await?;
            }
        }
        Misbehaviour::Garbage => stream.write_all(b"\x15\x03\x01 this is no HTTP\r\n\r\n").await,
        Misbehaviour::Reset => stream.set_zero_linger(),
        Misbehaviour::SlowBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nso far").await?;
            std::future::pending().await
        }
        Misbehaviour::SlowHead => {
            stream.write_all(b"HTTP/1.1 2").await?;
            std::future::pending().await
        }
    }
}

/// One request with its body; over TLS, what came of it until it is as long as a short one.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut read = Vec::new();
    loop {
        let length = stream.read_buf(&mut read).await?;
        let text = String::from_utf8_lossy(&read);
        if length == 0 || read.len() > REQUEST_BYTES_MAX {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if read[0] == TLS_HANDSHAKE {
            return Ok(String::new());
        }
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(text.into_owned());
            }
        }
    }
}

/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 22;
