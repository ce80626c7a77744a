use std::sync::Mutex;

use ring::hmac;
use serde_json::json;
use tower::ServiceExt as _;

use super::*;

const KEY: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn handshake() -> String {
    let status = json!({
        "resourceType": "SubscriptionStatus", "type": "handshake", "status": "requested",
        "subscription": {"reference": "Subscription/a"},
    });
    json!({"resourceType": "Bundle", "entry": [{"resource": status}]}).to_string()
}

/// What the receiver answered, and how many notifications it handed over.
async fn sent(verified: bool, request: Request<Full<Bytes>>) -> (u16, usize) {
    let taken = Arc::new(Mutex::new(0));
    let counter = taken.clone();
    let mut receiver = Receiver::new(move |_: Delivery| {
        *counter.lock().expect("no panic") += 1;
        async { StatusCode::ACCEPTED }
    })
    .bytes_max(2000);
    if verified {
        receiver = receiver.verified(Verifier::new([KEY]).expect("a key"));
    }
    let Ok(response) = receiver.oneshot(request).await;
    let taken = *taken.lock().expect("no panic");
    (response.status().as_u16(), taken)
}

fn post(body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
    *request.method_mut() = Method::POST;
    request
}

fn signed(body: &str, at: i64) -> Request<Full<Bytes>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef0123456789abcdef");
    let tag = hmac::sign(&key, format!("m.{at}.{body}").as_bytes());
    let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag);
    let mut request = post(body);
    let headers = request.headers_mut();
    headers.insert("webhook-id", "m".parse().expect("a value"));
    headers.insert("webhook-timestamp", at.into());
    headers.insert("webhook-signature", format!("v1,{signature}").parse().expect("a value"));
    request
}

#[tokio::test]
async fn notifications_are_handed_over_and_all_else_is_refused() {
    assert_eq!(sent(false, post(&handshake())).await, (202, 1));
    assert_eq!(sent(false, post("{}")).await, (400, 0));
    assert_eq!(sent(false, post(&" ".repeat(2001))).await, (413, 0));
    assert_eq!(sent(false, Request::new(Full::new(Bytes::new()))).await, (405, 0));
}

#[tokio::test]
async fn with_keys_only_what_is_signed_now_is_handed_over() {
    let now = Timestamp::now().as_second();
    assert_eq!(sent(true, signed(&handshake(), now)).await, (202, 1));
    assert_eq!(sent(true, signed(&handshake(), now - 3600)).await, (401, 0));
    assert_eq!(sent(true, post(&handshake())).await, (401, 0));
}
