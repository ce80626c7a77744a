//! The proxy that connections go through where the network asks for one.

use std::fmt;

use url::Url;

/// URL of an HTTP proxy, perhaps with a user name and a password. A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

/// Text that is no URL of a proxy. It does not tell the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the URL of a proxy such as \"http://proxy.example.org:3128\", without a path")]
pub struct InvalidProxyUrl;

impl ProxyUrl {
    /// Reads `http://[user:password@]host[:port]`.
    ///
    /// # Errors
    ///
    /// [`InvalidProxyUrl`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidProxyUrl> {
        let url = Url::parse(text).map_err(|_| InvalidProxyUrl)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() == "http" && url.has_host() && bare {
            Ok(Self(url))
        } else {
            Err(InvalidProxyUrl)
        }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({:?})", self.0.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_http_url_whose_password_is_hidden() {
        let proxy = ProxyUrl::parse("http://user:marker@proxy.example.org:3128").unwrap();
        assert_eq!(format!("{proxy:?}"), "ProxyUrl(\"proxy.example.org\")");
        assert!(ProxyUrl::parse("http://10.0.0.1").is_ok());
        for text in [
            "",
            "proxy.example.org:3128",
            "https://proxy.example.org",
            "socks5://proxy.example.org",
            "http://proxy.example.org/path",
            "http://proxy.example.org/?a",
        ] {
            assert_eq!(ProxyUrl::parse(text), Err(InvalidProxyUrl), "{text}");
        }
    }
}
