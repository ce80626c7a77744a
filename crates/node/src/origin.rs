//! Whose pages the requests of browsers come from: the server's own, or somebody else's.
//!
//! A browser tells which page sends a request (`Origin`) and what it asked for it (`Host`), whatever
//! the page says. But whoever owns a name can let it point here, and then both have that name. So a
//! name counts only where it is known to be the server's.

use url::{Host, Url};

/// Whether a page of this origin is the server's own: of its base URL, or of the place that was
/// asked, where that [`is_own_host`].
pub fn is_own_origin(origin: &str, base_url: &str, host: Option<&str>) -> bool {
    let (Ok(page), Ok(base)) = (Url::parse(origin), Url::parse(base_url)) else { return false };
    let is_asked = || origin.split_once("://").is_some_and(|(_, place)| Some(place) == host);
    page.origin() == base.origin() || (is_own(&page, &base) && is_asked())
}

/// Whether what was asked (`Host`) is the server: an address, `localhost`, or the host of its base
/// URL; whatever the port, which a proxy may have changed.
pub fn is_own_host(host: &str, base_url: &str) -> bool {
    let asked = Url::parse(&format!("http://{host}"));
    let (Ok(asked), Ok(base)) = (asked, Url::parse(base_url)) else { return false };
    is_own(&asked, &base)
}

fn is_own(url: &Url, base: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || Some(name) == base.domain(),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://fhir.example.org/r4";

    #[test]
    fn a_page_is_the_servers_own_by_its_base_url_or_by_address() {
        for (origin, host, expected) in [
            ("https://fhir.example.org", None, true),
            ("https://fhir.example.org", Some("10.0.0.1:8080"), true),
            ("http://fhir.example.org", Some("fhir.example.org:8080"), false),
            ("http://fhir.example.org:8080", Some("fhir.example.org:8080"), true),
            ("https://fhir.example.org.evil.test", None, false),
            ("http://127.0.0.1:8080", Some("127.0.0.1:8080"), true),
            ("http://[::1]:8080", Some("[::1]:8080"), true),
            ("http://192.0.2.1:8080", Some("192.0.2.1:8080"), true),
            ("http://localhost:8080", Some("localhost:8080"), true),
            ("http://localhost:9090", Some("localhost:8080"), false),
            ("http://127.0.0.1:8080", None, false),
            // A name that somebody lets point here.
            ("http://evil.test:8080", Some("evil.test:8080"), false),
            ("null", Some("null"), false),
            ("", Some(""), false),
        ] {
            assert_eq!(is_own_origin(origin, BASE, host), expected, "{origin} at {host:?}");
        }
    }

    #[test]
    fn a_name_is_the_servers_own_by_its_base_url() {
        for (host, expected) in [
            ("fhir.example.org", true),
            ("FHIR.example.org:8443", true),
            ("localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("192.0.2.1", true),
            ("evil.test", false),
            ("fhir.example.org.evil.test", false),
            ("localhost.evil.test:8080", false),
            ("127.0.0.1.evil.test", false),
            ("", false),
        ] {
            assert_eq!(is_own_host(host, BASE), expected, "{host}");
        }
    }
}
