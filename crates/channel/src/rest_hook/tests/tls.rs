//! Attempts over TLS: whom the client trusts, and which HTTP it speaks.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::Version;
use axum::routing::post;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::receiver::Receiver;
use super::{PATIENT, failure_kind, local_policy, request};
use crate::outcome::{FailureKind, NoResponse, Outcome, Verdict};
use crate::rest_hook::{Config, RestHook};
use crate::tls::Error;

const NAME: &str = "localhost";

/// An authority of the test's own, its certificate in `ca.pem`.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Serves one connection with a certificate for `NAME`, offering these protocols.
    async fn serve(&self, protocols: &[&str]) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve_one(listener, TlsAcceptor::from(Arc::new(config))));
        format!("https://{NAME}:{port}/")
    }
}

async fn serve_one(listener: TcpListener, acceptor: TlsAcceptor) {
    let router =
        Router::new().route("/", post(|version: Version| async move { format!("{version:?}") }));
    let (stream, _) = listener.accept().await.unwrap();
    // A client that does not trust us ends it here.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = TowerToHyperService::new(router);
    let server = auto::Builder::new(TokioExecutor::new());
    let _ended = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn attempt(trusted: &[&Path], endpoint: &str) -> Outcome {
    let extra_ca_files = trusted.iter().map(|path| path.to_path_buf()).collect();
    let config = Config { extra_ca_files, ..Config::default() };
    let hook = RestHook::new(&config, local_policy()).unwrap();
    hook.attempt(request(endpoint, PATIENT)).await
}

#[tokio::test]
async fn http_2_is_spoken_where_the_endpoint_offers_it() {
    let authority = Authority::new();
    for (protocols, version) in
        [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let endpoint = authority.serve(protocols).await;
        let outcome = attempt(&[&authority.file()], &endpoint).await;
        assert_eq!(outcome.verdict, Verdict::Success { status: 200 }, "{protocols:?}");
        assert_eq!(outcome.text.unwrap().as_str(), version);
    }
}

fn check_untrusted(outcome: Outcome, expect: &str) {
    assert_eq!(failure_kind(&outcome), FailureKind::NoResponse(NoResponse::Tls));
    let Verdict::Failure(failure) = outcome.verdict else { unreachable!() };
    assert_eq!(failure.detail, expect);
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let authority = Authority::new();
    let endpoint = authority.serve(&["h2"]).await;
    let outcome = attempt(&[], &endpoint).await;
    check_untrusted(outcome, "the certificate of the endpoint is not from a trusted authority");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_trusted() {
    let authority = Authority::new();
    let endpoint = authority.serve(&["h2"]).await.replace(NAME, "127.0.0.1");
    let outcome = attempt(&[&authority.file()], &endpoint).await;
    check_untrusted(outcome, "the certificate of the endpoint is for another name");
}

#[tokio::test]
async fn an_endpoint_that_speaks_no_tls_is_not_trusted() {
    let receiver = Receiver::start(Router::new()).await;
    let outcome = attempt(&[], &format!("https://127.0.0.1:{}/", receiver.port())).await;
    check_untrusted(outcome, "the TLS handshake with the endpoint failed");
}

#[test]
fn a_useless_file_of_authorities_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let open = || {
        let config = Config { extra_ca_files: vec![file.clone()], ..Config::default() };
        RestHook::new(&config, local_policy())
    };
    assert!(matches!(open(), Err(Error::CaFile { .. })));
    std::fs::write(&file, "no certificate").unwrap();
    assert!(matches!(open(), Err(Error::CaFileContent { .. })));
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, pem).unwrap();
    assert!(matches!(open(), Err(Error::CaFileContent { .. })));
}

#[test]
fn extra_authorities_add_to_those_of_the_system() {
    let authority = Authority::new();
    let count = |extra_ca_files| {
        let config = Config { extra_ca_files, ..Config::default() };
        RestHook::new(&config, local_policy()).unwrap().trusted_roots()
    };
    assert_eq!(count(vec![authority.file()]), count(Vec::new()) + 1);
}
