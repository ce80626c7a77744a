//! TLS in front of an endpoint that speaks none.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Takes connections over TLS on a free port of loopback and passes on what they hold; ends when dropped.
pub struct TlsFront {
    address: SocketAddr,
    certificate: String,
    task: JoinHandle<()>,
}

impl TlsFront {
    /// Starts one with a certificate that only its own is the authority of.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(to: SocketAddr) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a certificate with its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Who does not trust it goes away.
                tokio::spawn(pass(acceptor.clone(), client, to));
            }
        });
        Self { address, certificate: cert.pem(), task }
    }

    /// Its certificate in PEM form.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL of a path, such as `/hook`.
    pub fn endpoint(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(acceptor: TlsAcceptor, client: TcpStream, to: SocketAddr) -> std::io::Result<()> {
    let mut client = acceptor.accept(client).await?;
    let mut endpoint = TcpStream::connect(to).await?;
    copy_bidirectional(&mut client, &mut endpoint).await.map(drop)
}
