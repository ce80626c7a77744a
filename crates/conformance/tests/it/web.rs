//! What browsers and slow links need: CORS and gzip.

use std::io::{Read as _, Write as _};

use cresset_conformance::{Client, Options, Reply, Server, patient, set, verifies};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::json;

const ORIGIN: &str = "https://app.example.org";

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

async fn put_packed(base: &Client, body: Vec<u8>, encoding: &str) -> Reply {
    let request = base.request(Method::PUT, "Patient/p").header("content-encoding", encoding);
    request.body(body).send().await
}

#[tokio::test]
async fn bodies_are_packed_in_both_directions() {
    verifies!("RQ-CF-08");
    let server = Server::start().await;
    for base in server.bases() {
        let mut resource = patient("p");
        set(&mut resource, "/name", json!([{"family": "Marker".repeat(500)}]));
        let saved = put_packed(&base, packed(resource.to_string().as_bytes()), "gzip").await;
        assert_eq!(saved.expect(201).json()["name"], resource["name"]);
        for form in ["application/fhir+json", "application/fhir+xml"] {
            let ask = |encoding: &str| {
                let request = base.request(Method::GET, "Patient/p").header("accept", form);
                request.header("accept-encoding", encoding).send()
            };
            let plain = ask("identity").await.expect(200);
            assert!(plain.headers.get("content-encoding").is_none(), "{plain}");
            let answer = ask("br;q=1, gzip;q=0.5").await.expect(200);
            assert_eq!(answer.header("content-encoding"), "gzip");
            assert_eq!(answer.header("etag"), plain.header("etag"));
            assert!(answer.body.len() * 4 < plain.body.len());
            let mut unpacked = Vec::new();
            GzDecoder::new(&answer.body[..]).read_to_end(&mut unpacked).expect("gzip");
            assert_eq!(unpacked, plain.body);
        }
    }
}

#[tokio::test]
async fn a_body_is_as_large_as_what_it_unpacks_to() {
    verifies!("RQ-CF-08");
    let server = Server::start_with(Options::default().set("limits.body-max", "64KiB")).await;
    for base in server.bases() {
        let bomb = packed(&vec![b' '; 100 * 1024 * 1024]);
        assert!(bomb.len() < 200_000);
        put_packed(&base, packed(&vec![b' '; 65 * 1024]), "gzip").await.refused(413);
        put_packed(&base, bomb, "gzip").await.refused(413);
        put_packed(&base, b"no gzip".to_vec(), "gzip").await.refused(400);
        put_packed(&base, packed(b"{}"), "br").await.refused(415);
        base.get("Patient/p").await.refused(404);
    }
}

fn preflight(base: &Client, origin: &str) -> impl Future<Output = Reply> {
    base.request(Method::OPTIONS, "Patient/p")
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization,content-type,if-match,prefer")
        .send()
}

#[tokio::test]
async fn pages_of_the_origins_that_are_named_may_use_the_server() {
    verifies!("RQ-CF-08");
    let options = Options::default().set("server.cors-origins", vec![ORIGIN]).client(
        "one",
        "one-token-of-the-tests",
        &["read", "write"],
    );
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let answer = preflight(&base, ORIGIN).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
        let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
        assert!(["authorization", "if-match", "prefer"].iter().all(|one| allowed.contains(one)));
        assert!(answer.header("access-control-allow-methods").contains("PUT"));
        let other = preflight(&base, "https://evil.example.org").await;
        assert!(other.headers.get("access-control-allow-origin").is_none(), "{other}");
        // A refusal can be read too.
        let read = base.request(Method::GET, "Patient/p").header("origin", ORIGIN).send().await;
        read.refused(401);
        assert_eq!(read.header("access-control-allow-origin"), ORIGIN);
        let exposed = read.header("access-control-expose-headers").to_ascii_lowercase();
        assert!(["etag", "location", "last-modified"].iter().all(|one| exposed.contains(one)));
    }
}

#[tokio::test]
async fn websockets_are_for_pages_of_the_origins_that_are_named_and_for_who_is_no_page() {
    let named =
        Server::start_with(Options::default().set("server.cors-origins", vec![ORIGIN])).await;
    let none = Server::start().await;
    for (server, expected) in [(&named, 101), (&none, 403)] {
        for base in server.bases() {
            let own = server.url();
            for (origin, status) in [
                (None, 101),
                (Some(own), 101),
                (Some(ORIGIN), expected),
                (Some("https://app.example.org.evil.test"), 403),
                (Some("null"), 403),
            ] {
                let opened = open_as_page(&base, "ws", origin).await;
                assert_eq!(opened.status, status, "{origin:?}: {opened}");
                let medplums = format!("{}/ws/subscriptions-r4", server.url());
                let opened = open_as_page(&base, &medplums, origin).await;
                assert_eq!(opened.status, status, "{origin:?}: {opened}");
            }
        }
    }
}

/// Asks for a websocket as a browser does.
async fn open_as_page(base: &Client, path: &str, origin: Option<&str>) -> Reply {
    let request = base
        .request(Method::GET, path)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    match origin {
        Some(origin) => request.header("origin", origin).send().await,
        None => request.send().await,
    }
}

#[tokio::test]
async fn without_configuration_no_page_of_another_origin_may() {
    verifies!("RQ-CF-08");
    let any = Server::start_with(Options::default().set("server.cors-origins", vec!["*"])).await;
    let none = Server::start().await;
    for (any, none) in any.bases().into_iter().zip(none.bases()) {
        let answer = preflight(&none, ORIGIN).await;
        assert!(answer.headers.get("access-control-allow-origin").is_none(), "{answer}");
        assert_eq!(preflight(&any, ORIGIN).await.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn nobody_is_shown_what_a_cache_keeps_of_another_caller_or_form() {
    let options = Options::default().set("server.cors-origins", vec![ORIGIN]);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        for (path, status) in [("Patient/p", 200), ("Patient?_id=p", 200), ("Patient/none", 404)] {
            let answer = base.request(Method::GET, path).header("origin", ORIGIN).send().await;
            let answer = answer.expect(status);
            assert_eq!(answer.header("cache-control"), "private, no-cache");
            let vary = answer.headers.get_all("vary").iter().map(|one| one.to_str().unwrap());
            let vary = vary.collect::<Vec<_>>().join(", ");
            for one in ["accept", "authorization", "prefer", "origin"] {
                assert!(vary.split(", ").any(|name| name == one), "{one}: {vary}");
            }
        }
    }
}
