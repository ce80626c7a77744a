//! One table: endpoints and why they are refused.

use url::Url;

use super::{
    ENDPOINT_LENGTH_MAX, EndpointPolicy, EndpointRefusal, endpoint_refusal, is_local_endpoint,
};
use crate::address::{AddressPolicy, AddressRange};

fn check(policy: &EndpointPolicy, endpoint: &str, expect: Option<EndpointRefusal>) {
    let url = Url::parse(endpoint).unwrap();
    assert_eq!(endpoint_refusal(&url, policy), expect, "{endpoint}");
}

#[test]
fn an_endpoint_is_judged_by_scheme_user_port_and_literal_address() {
    use EndpointRefusal as E;
    let refused = |range| Some(E::Address(range));
    let policy = EndpointPolicy::default();
    for (endpoint, expect) in [
        ("https://example.org/hook?key=1#part", None),
        ("http://example.org:8080/", None),
        ("https://1.1.1.1/", None),
        ("https://[2606:4700::1111]/", None),
        ("ftp://example.org/", Some(E::Scheme)),
        ("mailto:a@example.org", Some(E::Scheme)),
        ("file:///etc/passwd", Some(E::Scheme)),
        ("https://user@example.org/", Some(E::UserInfo)),
        ("https://:secret@example.org/", Some(E::UserInfo)),
        ("https://example.org:0/", Some(E::Port)),
        ("https://example.org:25/", Some(E::Port)),
        ("http://example.org:6379/", None),
        ("http://127.0.0.1/", refused(AddressRange::Loopback)),
        ("http://127.1/", refused(AddressRange::Loopback)),
        ("http://2130706433/", refused(AddressRange::Loopback)),
        ("http://0x7f.0.0.1/", refused(AddressRange::Loopback)),
        ("http://0177.0.0.1/", refused(AddressRange::Loopback)),
        ("http://[::1]/", refused(AddressRange::Loopback)),
        ("http://[::ffff:127.0.0.1]/", refused(AddressRange::Loopback)),
        ("http://[64:ff9b::10.0.0.1]/", refused(AddressRange::Translated)),
        ("http://0/", refused(AddressRange::Unspecified)),
        ("http://169.254.169.254/latest/", refused(AddressRange::Metadata)),
        ("http://localhost/", refused(AddressRange::Loopback)),
        ("http://LOCALHOST./", refused(AddressRange::Loopback)),
        ("http://a.localhost/", refused(AddressRange::Loopback)),
        ("http://notlocalhost/", None),
    ] {
        check(&policy, endpoint, expect);
    }
}

#[test]
fn https_only_refuses_http() {
    let policy = EndpointPolicy { https_only: true, ..EndpointPolicy::default() };
    check(&policy, "https://example.org/", None);
    check(&policy, "http://example.org/", Some(EndpointRefusal::Insecure));
}

#[test]
fn allowing_local_addresses_allows_localhost() {
    let addresses = AddressPolicy { allow_local: true, ..AddressPolicy::default() };
    let policy = EndpointPolicy { addresses, https_only: false };
    check(&policy, "http://localhost:3000/", None);
    check(&policy, "http://127.0.0.1:3000/", None);
    check(
        &policy,
        "http://169.254.169.254/",
        Some(EndpointRefusal::Address(AddressRange::Metadata)),
    );
}

#[test]
fn only_literal_addresses_and_localhost_say_that_they_are_local() {
    for (host, expect) in [
        ("127.0.0.1", true),
        ("127.255.255.255", true),
        ("2130706433", true),
        ("10.0.0.0", true),
        ("10.255.255.255", true),
        ("172.16.0.1", true),
        ("172.31.255.255", true),
        ("192.168.7.7", true),
        ("[::1]", true),
        ("[fc00::1]", true),
        ("[fdff::1]", true),
        ("[::ffff:127.0.0.1]", true),
        ("[::ffff:10.1.2.3]", true),
        ("localhost", true),
        ("LOCALHOST.", true),
        ("a.b.localhost", true),
        ("126.255.255.255", false),
        ("128.0.0.1", false),
        ("11.0.0.0", false),
        ("172.15.255.255", false),
        ("172.32.0.0", false),
        ("192.167.255.255", false),
        ("100.64.0.1", false),
        ("169.254.0.1", false),
        ("0.0.0.0", false),
        ("1.1.1.1", false),
        ("[::]", false),
        ("[fe80::1]", false),
        ("[fec0::1]", false),
        ("[2606:4700::1111]", false),
        ("[::ffff:1.1.1.1]", false),
        ("[64:ff9b::127.0.0.1]", false),
        ("[2002:7f00:1::1]", false),
        ("receiver", false),
        ("receiver.example.com", false),
        ("receiver.local", false),
        ("notlocalhost", false),
        ("localhost.example.com", false),
        ("127.0.0.1.example.com", false),
        ("localhost.localdomain", false),
    ] {
        let url = Url::parse(&format!("http://{host}:8000/hook")).unwrap();
        assert_eq!(is_local_endpoint(&url), expect, "{host}");
    }
}

#[test]
fn an_overlong_endpoint_is_refused() {
    let path = "a".repeat(ENDPOINT_LENGTH_MAX);
    let endpoint = format!("https://example.org/{path}");
    check(&EndpointPolicy::default(), &endpoint, Some(EndpointRefusal::Length));
}

#[test]
fn a_refusal_tells_nothing_of_the_endpoint() {
    let url = Url::parse("https://10.9.8.7/path?marker-secret").unwrap();
    let refusal = endpoint_refusal(&url, &EndpointPolicy::default()).unwrap();
    assert_eq!(refusal.to_string(), "the endpoint is a private address, which is not allowed");
}
