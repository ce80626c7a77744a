//! The connection to the relay, up to the point where both sides speak SMTP over it for good.
//!
//! The dialogue before STARTTLS is held here, a byte at a time, so that nothing that came
//! unencrypted can be taken for an answer that came encrypted (the injections of CVE-2011-0411 and
//! its kin): what is left over goes into the TLS handshake, which fails.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::email::{Inner, Security};
use crate::outcome::{Failure, FailureKind, NoResponse};
use crate::resolver::{AllRefused, allowed};
use crate::tls::untrusted_because;

/// Longest line of a reply before STARTTLS (RFC 5321, section 4.5.3.1.5, with room to spare).
const LINE_BYTES_MAX: usize = 1024;
/// Most lines of a reply before STARTTLS.
const LINES_MAX: usize = 64;

/// What is read first from a connection that said `220` before it was encrypted: the SMTP client
/// waits for a greeting, and after STARTTLS there is no other.
const GREETED: &[u8] = b"220 encrypted\r\n";

/// A connection ready for the SMTP client.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    peer: SocketAddr,
    /// Read before anything of the stream.
    first: &'static [u8],
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Tls(_) => "Tls",
        })
    }
}

impl Inner {
    /// Opens a connection to the relay and encrypts it as configured.
    pub(super) async fn wire(&self, tls: &Arc<ClientConfig>) -> Result<Wire, Failure> {
        let mut tcp = self.tcp().await?;
        let peer = tcp.peer_addr().map_err(|error| broken(&error))?;
        let (stream, first): (_, &'static [u8]) = match self.config.security {
            Security::Plain => (Stream::Plain(tcp), b""),
            Security::StartTls => {
                self.start_tls(&mut tcp).await?;
                (self.encrypted(tcp, tls).await?, GREETED)
            }
            Security::Tls => (self.encrypted(tcp, tls).await?, b""),
        };
        Ok(Wire { stream, peer, first })
    }

    /// Connects to the first address that the policy allows and that answers.
    async fn tcp(&self) -> Result<TcpStream, Failure> {
        let found = match self.config.relay.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => {
                let looked_up = self.lookup.lookup(self.config.relay.clone()).await;
                looked_up.map_err(|_| unresolved())?
            }
        };
        let addresses = allowed(Some(&self.config.addresses), found).map_err(|error| {
            error.downcast_ref::<AllRefused>().map_or_else(unresolved, |AllRefused(range)| {
                let detail = format!("the relay is {range}, which is not allowed");
                Failure { kind: FailureKind::RefusedAddress, detail }
            })
        })?;
        let mut last = unresolved();
        for address in addresses {
            let address = SocketAddr::new(address.ip(), self.config.port);
            if self.config.security == Security::Plain && !address.ip().to_canonical().is_loopback()
            {
                last = refused("a relay elsewhere is not spoken to without TLS".to_owned());
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => {
                    let detail = format!("no connection to the relay: {}", error.kind());
                    last = Failure { kind: FailureKind::NoResponse(NoResponse::Connect), detail };
                }
            }
        }
        Err(last)
    }

    /// Greeting, EHLO, STARTTLS.
    async fn start_tls(&self, tcp: &mut TcpStream) -> Result<(), Failure> {
        let lacking = || no_response(NoResponse::Tls, "the relay does not offer STARTTLS");
        expect(tcp, "220").await?;
        let hello = format!("EHLO {}\r\n", self.hello_name());
        tcp.write_all(hello.as_bytes()).await.map_err(|error| broken(&error))?;
        let offered = expect(tcp, "250").await?;
        let is_start_tls = |line: &String| {
            line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"))
        };
        if !offered.iter().skip(1).any(is_start_tls) {
            return Err(lacking());
        }
        tcp.write_all(b"STARTTLS\r\n").await.map_err(|error| broken(&error))?;
        expect(tcp, "220").await.map(drop)
    }

    async fn encrypted(&self, tcp: TcpStream, tls: &Arc<ClientConfig>) -> Result<Stream, Failure> {
        let connector = TlsConnector::from(tls.clone());
        let connected = connector.connect(self.server_name.clone(), tcp).await;
        connected.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            let because = cause.map_or("the connection broke", untrusted_because);
            let because = because.replace("the endpoint", "the relay");
            let detail = format!("no trusted connection to the relay: {because}");
            Failure { kind: FailureKind::NoResponse(NoResponse::Tls), detail }
        })
    }

    /// What this server calls itself: the domain it writes from.
    pub(super) fn hello_name(&self) -> ClientId {
        ClientId::Domain(self.from.email.domain().to_owned())
    }
}

/// The lines of a reply with this code.
async fn expect(tcp: &mut TcpStream, code: &str) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let line = line(tcp).await.map_err(|error| broken(&error))?;
        if !line.starts_with(code) {
            let detail = "the relay does not take the connection, or not with STARTTLS";
            return Err(no_response(NoResponse::Tls, detail));
        }
        let is_last = line.as_bytes().get(code.len()) != Some(&b'-');
        lines.push(line);
        if is_last {
            return Ok(lines);
        }
    }
    Err(no_response(NoResponse::Interrupted, "the relay says too much"))
}

/// One line, and not a byte more. A few hundred reads a connection are what that costs.
async fn line(tcp: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    while bytes.len() < LINE_BYTES_MAX {
        match tcp.read_u8().await? {
            b'\n' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            byte => bytes.push(byte),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

pub(super) fn no_response(why: NoResponse, detail: &str) -> Failure {
    Failure { kind: FailureKind::NoResponse(why), detail: detail.to_owned() }
}

fn refused(detail: String) -> Failure {
    Failure { kind: FailureKind::Refused, detail }
}

fn unresolved() -> Failure {
    let detail = "the name of the relay could not be resolved".to_owned();
    Failure { kind: FailureKind::DnsResolution, detail }
}

fn broken(error: &io::Error) -> Failure {
    let detail = format!("the connection to the relay broke: {}", error.kind());
    Failure { kind: FailureKind::NoResponse(NoResponse::Interrupted), detail }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            let (now, later) = this.first.split_at(this.first.len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.first = later;
            return Poll::Ready(Ok(()));
        }
        match &mut this.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(context),
        }
    }
}
