//! Attempts over TLS: whom the client trusts, and which HTTP it speaks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::http::Version;
use axum::routing::post;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::receiver::Receiver;
use super::{PATIENT, failure_kind, local_policy, request};
use crate::host::HostPattern;
use crate::outcome::{FailureKind, NoResponse, Outcome, Verdict};
use crate::rest_hook::{Config, HostConfig, RestHook};
use crate::tls::{Error, Identity};

const NAME: &str = "localhost";

/// An authority of the test's own, its certificate in `ca.pem`.
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

    /// A certificate of this authority for the server under test, with its key.
    fn identity(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["cresset.example".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |name: &str, text: String| {
            let path = self.directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Identity {
            certificate_file: file("client.pem", certificate.pem()),
            key_file: file("client.key", key.serialize_pem()),
        }
    }

    /// Serves one connection with a certificate for `NAME`, offering these protocols.
    pub(super) async fn serve(&self, protocols: &[&str]) -> String {
        self.serve_to(protocols, None).await
    }

    /// As [`Self::serve`], to clients with a certificate of `clients` only.
    async fn serve_to(&self, protocols: &[&str], clients: Option<&Self>) -> String {
        let key = KeyPair::generate().unwrap();
        let params =
            CertificateParams::new(vec![NAME.to_owned(), "receiver.example".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.issuer.der().clone()).unwrap();
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = config
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
        Router::new().fallback(post(|version: Version| async move { format!("{version:?}") }));
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

/// What holds for `hosts` only.
fn host(hosts: &str, authority: &Authority, identity: Option<Identity>) -> HostConfig {
    HostConfig {
        hosts: vec![HostPattern::parse(hosts).unwrap()],
        ca_files: vec![authority.file()],
        identity,
    }
}

fn hook_with(hosts: Vec<HostConfig>) -> RestHook {
    RestHook::new(&Config { hosts, ..Config::default() }, local_policy()).unwrap()
}

#[tokio::test]
async fn an_authority_of_a_host_is_trusted_for_that_host_only() {
    let authority = Authority::new();
    let hook = hook_with(vec![host("other.example", &authority, None)]);
    let endpoint = authority.serve(&[]).await;
    let outcome = hook.attempt(request(&endpoint, PATIENT)).await;
    check_untrusted(outcome, "the certificate of the endpoint is not from a trusted authority");
    let other = host("other.example", &authority, None);
    let hook = hook_with(vec![other, host(NAME, &authority, None)]);
    let endpoint = authority.serve(&[]).await;
    assert!(hook.attempt(request(&endpoint, PATIENT)).await.is_success());
    assert_eq!(hook.trusted_roots(), hook_with(Vec::new()).trusted_roots());
}

#[tokio::test]
async fn a_host_that_asks_for_a_certificate_gets_the_one_that_is_meant_for_it() {
    let (receivers, senders) = (Authority::new(), Authority::new());
    let stranger = Authority::new();
    for (identity, expect) in
        [(Some(senders.identity()), true), (Some(stranger.identity()), false), (None, false)]
    {
        for protocols in [&["h2"][..], &["http/1.1"]] {
            let endpoint = receivers.serve_to(protocols, Some(&senders)).await;
            let hook = hook_with(vec![host(NAME, &receivers, identity.clone())]);
            let outcome = hook.attempt(request(&endpoint, PATIENT)).await;
            assert_eq!(outcome.is_success(), expect, "{identity:?} {outcome:?}");
        }
    }
}

#[tokio::test]
async fn files_are_read_again_when_asked_for_and_bad_ones_change_nothing() {
    let (receivers, senders) = (Authority::new(), Authority::new());
    let stranger = Authority::new();
    let identity = stranger.identity();
    let hook = hook_with(vec![host(NAME, &receivers, Some(identity.clone()))]);
    let attempt = async || {
        let endpoint = receivers.serve_to(&["h2"], Some(&senders)).await;
        hook.attempt(request(&endpoint, PATIENT)).await.is_success()
    };
    assert!(!attempt().await);
    let wanted = senders.identity();
    std::fs::copy(&wanted.certificate_file, &identity.certificate_file).unwrap();
    assert!(matches!(hook.reload(), Err(Error::IdentityMismatch { .. })), "the key is another's");
    std::fs::copy(&wanted.key_file, &identity.key_file).unwrap();
    assert!(!attempt().await, "nobody has asked for it");
    hook.clone().reload().unwrap();
    assert!(attempt().await);
    std::fs::write(&identity.key_file, "no key").unwrap();
    assert!(matches!(hook.reload(), Err(Error::IdentityContent { what: "key", .. })));
    std::fs::remove_file(&identity.certificate_file).unwrap();
    assert!(matches!(hook.reload(), Err(Error::IdentityFile { .. })));
    assert!(attempt().await, "everything is as it was");
}
