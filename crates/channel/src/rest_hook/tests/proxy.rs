//! Attempts through a proxy on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::receiver::Receiver;
use super::tls::Authority;
use super::{PATIENT, Table, failure_kind, request};
use crate::endpoint::EndpointPolicy;
use crate::outcome::{FailureKind, NoResponse};
use crate::proxy::ProxyUrl;
use crate::rest_hook::{Config, RestHook};

/// A proxy that knows one host, whatever it is called, and notes the heads of what it is asked.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Proxy {
    async fn start(to: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(relay(stream, to, Arc::clone(&noted)));
            }
        });
        Self { address, heads, server }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// A channel whose endpoints must be public, and that resolves the proxy's name only.
    fn hook(&self, extra_ca_files: Vec<std::path::PathBuf>) -> RestHook {
        let url = format!("http://user:secret@proxy.example:{}", self.address.port());
        let proxy = Some(ProxyUrl::parse(&url).unwrap());
        let config = Config { proxy, extra_ca_files, ..Config::default() };
        let names = [("proxy.example", vec!["127.0.0.1".parse().unwrap()])];
        let lookup = Arc::new(Table(names.into_iter().collect()));
        RestHook::with_lookup(&config, EndpointPolicy::default(), lookup).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Reads one head, and passes what follows on.
async fn relay(mut client: TcpStream, to: Option<u16>, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let text = String::from_utf8(head.clone()).unwrap();
    heads.lock().unwrap().push(text.clone());
    let Some(to) = to else {
        client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        return;
    };
    let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
    if text.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        server.write_all(&head).await.unwrap();
    }
    // Whoever ends it first.
    drop(copy_bidirectional(&mut client, &mut server).await);
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_the_proxy_looks_the_name_up() {
    let authority = Authority::new();
    let endpoint = authority.serve(&["h2"]).await;
    let port = endpoint.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let proxy = Proxy::start(Some(port)).await;
    // A name that only the proxy knows; the endpoint's certificate is for it.
    let hook = proxy.hook(vec![authority.file()]);
    let outcome = hook.attempt(request("https://receiver.example/hook", PATIENT)).await;
    assert!(outcome.is_success(), "{outcome:?}");
    assert_eq!(outcome.text.unwrap().as_str(), "HTTP/2.0");
    let heads = proxy.heads();
    assert!(heads[0].starts_with("CONNECT receiver.example:443 HTTP/1.1\r\n"), "{heads:?}");
    let basic = "proxy-authorization: basic dxnlcjpzzwnyzxq=";
    assert!(heads[0].to_lowercase().contains(basic), "{heads:?}");
}

#[tokio::test]
async fn http_goes_to_the_proxy_whole() {
    let receiver = Receiver::start(Router::new().route("/hook", post(|| async { "got it" }))).await;
    let proxy = Proxy::start(Some(receiver.port())).await;
    let outcome =
        proxy.hook(Vec::new()).attempt(request("http://receiver.example/hook", PATIENT)).await;
    assert!(outcome.is_success(), "{outcome:?}");
    let heads = proxy.heads();
    assert!(heads[0].starts_with("POST http://receiver.example/hook HTTP/1.1"), "{heads:?}");
}

#[tokio::test]
async fn what_the_policy_can_judge_does_not_get_as_far_as_the_proxy() {
    let proxy = Proxy::start(None).await;
    let hook = proxy.hook(Vec::new());
    for endpoint in ["http://127.0.0.1/", "https://localhost/", "http://[::ffff:10.0.0.1]/"] {
        let outcome = hook.attempt(request(endpoint, PATIENT)).await;
        assert_eq!(failure_kind(&outcome), FailureKind::Refused, "{endpoint}");
    }
    assert_eq!(proxy.heads(), [""; 0]);
}

#[tokio::test]
async fn a_proxy_that_says_no_is_no_connection() {
    let proxy = Proxy::start(None).await;
    let hook = proxy.hook(Vec::new());
    let outcome = hook.attempt(request("https://receiver.example/", PATIENT)).await;
    assert_eq!(failure_kind(&outcome), FailureKind::NoResponse(NoResponse::Connect));
    assert!(!format!("{outcome:?}").contains("secret"));
}
