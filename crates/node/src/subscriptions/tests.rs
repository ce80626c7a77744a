//! Where whole resources may go without TLS.

use cresset_channel::AddressPolicy;

use super::*;

#[test]
fn whole_resources_go_in_the_clear_to_local_hosts_only_where_those_are_allowed() {
    use PayloadContent::{Empty, FullResource, IdOnly};
    for (allow_local, content, endpoint, expect) in [
        (true, FullResource, "http://127.0.0.1:9000/hook", false),
        (true, FullResource, "http://10.1.2.3/", false),
        (true, FullResource, "http://[fd00::1]/", false),
        (true, FullResource, "http://localhost:9000/", false),
        (true, FullResource, "http://example.org/", true),
        (true, FullResource, "http://receiver.example.com:9000/hook", true),
        (true, FullResource, "http://1.1.1.1/", true),
        (true, FullResource, "http://[2606:4700::1111]/", true),
        (true, FullResource, "https://example.org/", false),
        (true, IdOnly, "http://example.org/", false),
        (true, Empty, "http://example.org/", false),
        (false, FullResource, "http://127.0.0.1:9000/hook", true),
        (false, FullResource, "http://localhost:9000/", true),
        (false, FullResource, "http://example.org/", true),
        (false, FullResource, "https://example.org/", false),
        (false, IdOnly, "http://example.org/", false),
    ] {
        let addresses = AddressPolicy { allow_local, ..AddressPolicy::default() };
        let policy = EndpointPolicy { addresses, https_only: false };
        let url = Url::parse(endpoint).unwrap();
        let is_refused = is_in_the_clear(&policy, content, &url);
        assert_eq!(is_refused, expect, "{endpoint} {content:?}, local ones allowed: {allow_local}");
    }
}
