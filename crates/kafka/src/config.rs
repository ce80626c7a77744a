//! Where the brokers are and how to speak to them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

/// The producer's options.
#[derive(Clone)]
pub struct Config {
    /// Brokers to ask for the cluster, one after the other. Which brokers hold the partitions is what
    /// they answer.
    pub servers: Vec<ServerAddress>,
    /// TLS; none for connections in the clear.
    pub tls: Option<Arc<ClientConfig>>,
    /// How to log in; none for not at all.
    pub login: Option<Login>,
    /// What the brokers' logs and quotas know the client by.
    pub client_id: String,
    /// How long making a connection may take, TLS and login included.
    pub connect_timeout: Duration,
    /// How long a broker may leave requests unanswered. A caller who gives up after that closes the
    /// connection for all, and one who gives up before only forgets its own answer.
    pub silence_max: Duration,
    /// Largest record, key and headers included. The brokers have a limit of their own
    /// (`message.max.bytes`), which counts some overhead too.
    pub record_bytes_max: usize,
}

/// Not derived: the configuration of TLS may hold a key.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("tls", &self.tls.is_some())
            .field("login", &self.login)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Whether what is sent must not leave this machine: the configured brokers are on it, or there is a
    /// password, and nothing is encrypted. The cluster may name others all the same.
    pub(crate) fn stays_on_machine(&self) -> bool {
        let local = self.servers.iter().all(|server| server.is_loopback());
        self.tls.is_none() && (self.login.is_some() || local)
    }
}

/// A user and how it proves who it is.
#[derive(Clone)]
pub struct Login {
    /// The SASL mechanism.
    pub mechanism: Mechanism,
    /// Name of the user.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself; only for use over TLS.
    Plain,
    /// A proof with SHA-256.
    ScramSha256,
    /// A proof with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// The name that SASL gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Host name or address, and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl ServerAddress {
    /// Whether connections to it stay on this machine, as far as the name tells.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|one| one.to_canonical().is_loopback())
    }
}

/// Text that is not a host and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be host:port")]
pub struct InvalidAddress;

impl FromStr for ServerAddress {
    type Err = InvalidAddress;

    /// Reads `host:port` or `[address]:port`.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let wrong = |c: char| c.is_whitespace() || c.is_control() || "/@[]?#".contains(c);
        if host.is_empty() || host.contains(wrong) || (bracketed.is_none() && host.contains(':')) {
            return Err(InvalidAddress);
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(InvalidAddress)?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        for text in ["kafka.example:9092", "127.0.0.1:1", "[::1]:9093"] {
            assert_eq!(
                text.parse::<ServerAddress>().map(|one| one.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in ["", "kafka", ":9092", "kafka:", "kafka:0", "kafka:70000", "::1:9092"] {
            assert_eq!(text.parse::<ServerAddress>(), Err(InvalidAddress), "{text}");
        }
        for text in ["kafka://broker:9092", "user@broker:9092", "a b:9092", "[]:9092"] {
            assert_eq!(text.parse::<ServerAddress>(), Err(InvalidAddress), "{text}");
        }
    }
}
