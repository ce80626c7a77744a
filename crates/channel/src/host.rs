//! Patterns that name hosts in the operator's configuration.
//!
//! Pure. Its tests stand below.

use std::fmt;

use url::Host;

/// A host by name or address, or all hosts below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// In the form that URLs have: lower case, punycode.
    host: Host,
    below: bool,
}

/// Text that is no pattern of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a host such as \"ehr.example.org\", or \"*.example.org\" for all below it")]
pub struct InvalidHostPattern;

impl HostPattern {
    /// Reads `ehr.example.org`, `*.example.org`, `192.0.2.1` or `[2001:db8::1]`; no port.
    ///
    /// # Errors
    ///
    /// [`InvalidHostPattern`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidHostPattern> {
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        match Host::parse(name).map_err(|_| InvalidHostPattern)? {
            Host::Domain(name) if name.contains('*') || name.starts_with('.') => {
                Err(InvalidHostPattern)
            }
            Host::Ipv4(_) | Host::Ipv6(_) if below => Err(InvalidHostPattern),
            host @ (Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) => Ok(Self { host, below }),
        }
    }

    /// Whether the host of a URL is meant.
    pub(crate) fn matches(&self, host: &Host<&str>) -> bool {
        match (&self.host, host) {
            (Host::Domain(pattern), Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                match self.below {
                    true => name.strip_suffix(pattern.as_str()).is_some_and(|n| n.ends_with('.')),
                    false => name == pattern,
                }
            }
            (Host::Ipv4(pattern), Host::Ipv4(address)) => pattern == address,
            (Host::Ipv6(pattern), Host::Ipv6(address)) => pattern == address,
            (Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_), _) => false,
        }
    }
}

/// As it is written in a configuration.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.host)
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn matches(pattern: &str, endpoint: &str) -> bool {
        let url = Url::parse(endpoint).unwrap();
        HostPattern::parse(pattern).unwrap().matches(&url.host().unwrap())
    }

    #[test]
    fn a_pattern_means_a_host_or_what_is_below_a_domain() {
        for (pattern, endpoint, expect) in [
            ("ehr.example.org", "https://EHR.example.org:8443/hook", true),
            ("EHR.Example.org", "https://ehr.example.org./", true),
            ("ehr.example.org", "https://a.ehr.example.org/", false),
            ("*.example.org", "https://a.b.example.org/", true),
            ("*.example.org", "https://example.org/", false),
            ("*.example.org", "https://badexample.org/", false),
            ("b\u{fc}cher.example", "https://xn--bcher-kva.example/", true),
            ("127.0.0.1", "https://2130706433/", true),
            ("127.0.0.1", "https://127.0.0.2/", false),
            ("[::1]", "https://[::1]/", true),
            ("[::1]", "https://[::2]/", false),
        ] {
            assert_eq!(matches(pattern, endpoint), expect, "{pattern} {endpoint}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in
            ["", "*", "*.", "a.*.org", "*.*.org", ".org", "*.127.0.0.1", "*.[::1]", "a:80", "a/b"]
        {
            assert_eq!(HostPattern::parse(text), Err(InvalidHostPattern), "{text}");
        }
        assert_eq!(HostPattern::parse("*.Example.org").unwrap().to_string(), "*.example.org");
    }
}
