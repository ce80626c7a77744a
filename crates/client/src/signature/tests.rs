use http::HeaderValue;
use ring::signature::Ed25519KeyPair;

use super::*;

const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const NEW: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// The first key pair of RFC 8032, section 7.1.
const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const AT: i64 = 1_614_265_330;

fn headers(signatures: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_static("msg_p5jXN8AQM9LWM0D4loKWxJek"));
    headers.insert("webhook-timestamp", HeaderValue::from_static("1614265330"));
    headers.insert("webhook-signature", signatures.parse().expect("a header value"));
    headers
}

fn symmetric(key: &str, content: &[u8]) -> String {
    let secret = STANDARD.decode(key.strip_prefix("whsec_").expect("a secret")).expect("base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, content)))
}

fn asymmetric(content: &[u8]) -> String {
    let seed = STANDARD.decode(SEED).expect("base64");
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed");
    format!("v1a,{}", STANDARD.encode(pair.sign(content)))
}

#[track_caller]
fn check(keys: &[&str], signatures: &str, body: &[u8], now: i64, expect: Result<(), Untrusted>) {
    let verifier = Verifier::new(keys.iter().copied()).expect("keys");
    let headers = headers(signatures);
    assert_eq!(verifier.verify(&headers, body, now).map(|_| ()), expect, "{keys:?} {signatures}");
}

#[test]
fn the_specifications_example_is_valid() {
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let body = br#"{"test": 2432232314}"#;
    check(&[key], signature, body, AT, Ok(()));
    check(&[OLD], signature, body, AT, Err(Untrusted::Signature));
}

#[test]
fn any_known_key_may_have_signed_and_nothing_else() {
    let content = format!("msg_p5jXN8AQM9LWM0D4loKWxJek.{AT}.body").into_bytes();
    let (old, new, public) =
        (symmetric(OLD, &content), symmetric(NEW, &content), asymmetric(&content));
    let all = format!("{old} {new} {public}");
    for key in [OLD, NEW, PUBLIC] {
        check(&[key], &all, b"body", AT, Ok(()));
        check(&[key], &all, b"bodx", AT, Err(Untrusted::Signature));
    }
    check(&[NEW], &old, b"body", AT, Err(Untrusted::Signature));
    check(&[NEW, OLD], &old, b"body", AT, Ok(()));
    check(&[], &all, b"body", AT, Err(Untrusted::Signature));
    check(&[OLD], &old.replace("v1,", "v1a,"), b"body", AT, Err(Untrusted::Signature));
    check(&[PUBLIC], &public.replace("v1a,", "v1,"), b"body", AT, Err(Untrusted::Signature));
    check(&[OLD], "v1, v1,%% ,,", b"body", AT, Err(Untrusted::Signature));
    let beyond = format!("{}{old}", "v1,AAAA ".repeat(SIGNATURES_MAX));
    check(&[OLD], &beyond, b"body", AT, Err(Untrusted::Signature));
}

#[test]
fn a_message_is_trusted_only_around_its_time() {
    let content = format!("msg_p5jXN8AQM9LWM0D4loKWxJek.{AT}.body").into_bytes();
    let signature = symmetric(OLD, &content);
    for (now, expect) in [
        (AT + 300, Ok(())),
        (AT - 300, Ok(())),
        (AT + 301, Err(Untrusted::Timestamp)),
        (AT - 301, Err(Untrusted::Timestamp)),
        (i64::MIN, Err(Untrusted::Timestamp)),
    ] {
        check(&[OLD], &signature, b"body", now, expect);
    }
}

#[test]
fn headers_that_are_missing_or_doubled_are_named() {
    let verifier = Verifier::new([OLD]).expect("a key");
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut without = headers("v1,AAAA");
        without.remove(name);
        assert_eq!(verifier.verify(&without, b"", AT), Err(Untrusted::Header(name)));
        let mut twice = headers("v1,AAAA");
        twice.append(name, HeaderValue::from_static("1"));
        assert_eq!(verifier.verify(&twice, b"", AT), Err(Untrusted::Header(name)));
    }
    let mut odd = headers("v1,AAAA");
    odd.insert("webhook-timestamp", HeaderValue::from_static("yesterday"));
    assert_eq!(verifier.verify(&odd, b"", AT), Err(Untrusted::Header("webhook-timestamp")));
}

#[test]
fn what_is_no_key_is_refused_and_not_shown() {
    for text in ["", "whsec_", "whsec_AAAA", "whpk_AAAA", "whsk_AAAA", "secret", "whsec_%%"] {
        assert_eq!(Verifier::new([text]).map(|_| ()), Err(InvalidKey), "{text}");
    }
    let shown = format!("{:?}", Verifier::new([OLD]).expect("a key"));
    assert!(!shown.contains("C2FV"), "{shown}");
}
