//! A relay that speaks as much SMTP as a mail needs, and misbehaves where it is told to.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::email::Security;

/// How the relay behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// Closes the connection when it is to take the content.
    Break,
    /// Says that it closes.
    Closing,
    /// Refuses the recipient for now.
    Defer,
    /// Takes everything.
    Good,
    /// Says more before the connection is encrypted than it was asked for.
    Inject,
    /// Does not know the mailbox.
    NoMailbox,
    /// Closes after each mail.
    OneMailAConnection,
    /// Refuses the recipient.
    Refuse,
    /// Refuses the mail.
    RefuseContent,
    /// Says nothing at all.
    Silent,
    /// Takes everything once the connection is encrypted.
    StartTls,
}

/// A mail that the relay took.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) data: String,
    pub(super) encrypted: bool,
    pub(super) authenticated: bool,
}

/// A relay on a port of its own.
pub(super) struct Relay {
    port: u16,
    taken: Arc<Mutex<Vec<Taken>>>,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    pub(super) async fn start(manners: Manners, acceptor: Option<(Security, TlsAcceptor)>) -> Self {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken: Arc<Mutex<Vec<Taken>>> = Arc::default();
        let shared = taken.clone();
        let connections: Arc<AtomicUsize> = Arc::default();
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (taken, acceptor) = (shared.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        Some((Security::Tls, acceptor)) => {
                            // A client that does not trust us ends it here.
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            converse(BufReader::new(stream), manners, true, true, &taken).await;
                        }
                        Some((_, acceptor)) => {
                            let mut plain = BufReader::new(stream);
                            if !converse(&mut plain, manners, false, true, &taken).await {
                                return;
                            }
                            let Ok(stream) = acceptor.accept(plain.into_inner()).await else {
                                return;
                            };
                            converse(BufReader::new(stream), Manners::Good, true, false, &taken)
                                .await;
                        }
                        None => {
                            converse(BufReader::new(stream), manners, false, true, &taken).await;
                        }
                    }
                });
            }
        });
        Self { port, taken, connections }
    }

    pub(super) async fn start_over(
        security: Security,
        manners: Manners,
        authority: &Authority,
    ) -> Self {
        Self::start(manners, Some((security, authority.acceptor()))).await
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }
}

/// Speaks until the client leaves; true where the connection is to be encrypted now.
async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + AsyncBufReadExt + Unpin,
    manners: Manners,
    encrypted: bool,
    greet: bool,
    taken: &Mutex<Vec<Taken>>,
) -> bool {
    let mut mail = Taken { encrypted, ..Taken::default() };
    let mut line = String::new();
    if manners == Manners::Silent {
        // Until the client has enough of it.
        drop(stream.read_line(&mut line).await);
        return false;
    }
    let mut answer = if greet { "220 relay.test\r\n" } else { "" };
    loop {
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return false;
        }
        line.clear();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return false;
        }
        let (verb, rest) = line.trim_end().split_at(line.trim_end().len().min(4));
        answer = match (verb, manners) {
            ("EHLO", Manners::StartTls | Manners::Inject) => "250-relay.test\r\n250 STARTTLS\r\n",
            ("EHLO", _) => "250-relay.test\r\n250 AUTH PLAIN\r\n",
            ("STAR", Manners::Inject) => {
                let more = b"220 go on\r\n250-relay.test\r\n250 AUTH PLAIN\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n";
                let ready = stream.write_all(more).await;
                return ready.is_ok() && stream.flush().await.is_ok();
            }
            ("STAR", _) => {
                let ready = stream.write_all(b"220 go on\r\n").await;
                return ready.is_ok() && stream.flush().await.is_ok();
            }
            ("AUTH", _) => {
                // base64 of "\0cresset\0secret"
                mail.authenticated = rest.trim() == "PLAIN AGNyZXNzZXQAc2VjcmV0";
                "235 welcome\r\n"
            }
            ("MAIL", Manners::Closing) => "421 ward@example.net, goodbye\r\n",
            ("MAIL", _) => {
                mail.from = rest.trim_start_matches(" FROM:").split(' ').next().unwrap().to_owned();
                "250 ok\r\n"
            }
            ("RCPT", Manners::Refuse) => "550 ward@example.net is not wanted\r\n",
            ("RCPT", Manners::NoMailbox) => "550 5.1.1 ward@example.net is not known\r\n",
            ("RCPT", Manners::Defer) => "451 ward@example.net later\r\n",
            ("RCPT", _) => {
                mail.to = rest.trim_start_matches(" TO:").to_owned();
                "250 ok\r\n"
            }
            ("DATA", Manners::Break) => return false,
            ("DATA", Manners::RefuseContent) => "554 ward@example.net gets no such mail\r\n",
            ("DATA", _) => {
                stream.write_all(b"354 go on\r\n").await.unwrap();
                stream.flush().await.unwrap();
                mail.data = data(&mut stream).await;
                taken.lock().unwrap().push(mail.clone());
                if manners == Manners::OneMailAConnection {
                    drop(stream.write_all(b"250 taken\r\n").await);
                    return false;
                }
                "250 taken\r\n"
            }
            ("NOOP", _) => "250 ok\r\n",
            ("QUIT", _) => "221 bye\r\n",
            _ => "500 what?\r\n",
        };
    }
}

/// The mail up to the line with a dot.
async fn data(stream: &mut (impl AsyncBufReadExt + Unpin)) -> String {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if line == ".\r\n" {
            return data;
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

/// An authority of the test's own.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
