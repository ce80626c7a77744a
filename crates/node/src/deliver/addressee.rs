//! Whom the notifications of a subscription are sent to, made out once and not with every attempt.

use cresset_model::ChannelType;
use url::Url;

use super::hosts::HostName;
use crate::live::State;
use crate::settings::Settings;

/// Where notifications go and how, as the client asked for it.
pub(crate) struct Addressee {
    /// The client's changes up to which this holds.
    pub(super) revision: u32,
    pub(super) settings: Settings,
    /// What the subscription shares with others whose notifications go the same way.
    pub(super) host: HostName,
    /// The endpoint, where it is one that HTTP can reach.
    pub(super) endpoint: Option<Url>,
}

impl Addressee {
    /// What a subscription asks for now; all mails go to the relay, if there is one.
    pub(super) fn of(state: &State, relay: Option<&HostName>) -> Self {
        let settings = state.settings.clone();
        let (host, endpoint) = match (&settings.channel_type, relay) {
            (ChannelType::Email, Some(relay)) => (relay.clone(), None),
            // Names of hosts end with a port, so a broker's is none of them.
            (ChannelType::Kafka | ChannelType::Nats, _) => {
                (settings.channel_type.code().into(), None)
            }
            (
                ChannelType::Custom(_)
                | ChannelType::Email
                | ChannelType::Message
                | ChannelType::RestHook
                | ChannelType::Websocket,
                _,
            ) => {
                let endpoint = settings.endpoint.as_deref().and_then(|text| Url::parse(text).ok());
                (host_of(endpoint.as_ref()), endpoint)
            }
        };
        Self { revision: state.revision, settings, host, endpoint }
    }

    /// Whether this is still what the subscription asks for.
    pub(super) fn is_of(&self, state: &State) -> bool {
        self.revision == state.revision
    }
}

/// The name of the host that an endpoint has; the same for all that cannot be read, which never
/// get as far as being sent.
fn host_of(endpoint: Option<&Url>) -> HostName {
    let host = endpoint.and_then(|url| {
        let port = url.port_or_known_default().unwrap_or_default();
        // A name with and without the dot of the root is one.
        let name = url.host_str()?;
        Some(format!("{}:{port}", name.strip_suffix('.').unwrap_or(name)))
    });
    host.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_name_and_port() {
        for (endpoint, expected) in [
            ("https://A.test/x?y", "a.test:443"),
            ("https://a.test./x", "a.test:443"),
            ("http://a.test:8080/", "a.test:8080"),
            ("http://[::1]/", "[::1]:80"),
            ("nonsense", ""),
        ] {
            assert_eq!(&*host_of(Url::parse(endpoint).ok().as_ref()), expected);
        }
    }
}
