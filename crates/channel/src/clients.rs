//! The HTTP clients: one for all hosts, and one for each that has a trust or an identity of its own.
//!
//! A TLS configuration belongs to a whole client, so hosts with another one have another client, and
//! with it connections of their own: none that was made with one identity is used for another host.
//!
//! Its tests are in `rest_hook/tests/tls.rs` and `rest_hook/tests/proxy.rs`.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Proxy, redirect};
use rustls::ClientConfig;
use url::Url;

use crate::endpoint::EndpointPolicy;
use crate::host::HostPattern;
use crate::resolver::{Lookup, Resolver};
use crate::rest_hook::Config;
use crate::tls::{Error, Trust, client_config};

/// Most bytes of response headers on an HTTP/2 connection.
const RESPONSE_HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Interval of the probes that find out whether a silent peer is gone.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// All clients of a channel.
pub(crate) struct Clients {
    all: Client,
    /// The first that has a pattern for the host counts.
    hosts: Vec<(Vec<HostPattern>, Client)>,
    /// Authorities that all hosts are trusted by.
    pub(crate) trusted_roots: usize,
}

impl Clients {
    /// Builds them. Reads certificate files.
    pub(crate) fn new(
        config: &Config,
        policy: &EndpointPolicy,
        lookup: &Arc<dyn Lookup>,
    ) -> Result<Self, Error> {
        let trust = Trust::new(&config.extra_ca_files)?;
        let trusted_roots = trust.count();
        let hosts = config.hosts.iter().map(|host| {
            let trust = trust.and(&host.ca_files)?;
            let tls = client_config(trust, host.identity.as_ref())?;
            Ok((host.hosts.clone(), client(config, policy, lookup, tls)?))
        });
        let hosts = hosts.collect::<Result<_, Error>>()?;
        let all = client(config, policy, lookup, client_config(trust, None)?)?;
        Ok(Self { all, hosts, trusted_roots })
    }

    /// The client for an endpoint.
    pub(crate) fn of(&self, endpoint: &Url) -> &Client {
        let Some(host) = endpoint.host() else { return &self.all };
        let meant = |patterns: &[HostPattern]| patterns.iter().any(|one| one.matches(&host));
        let found = self.hosts.iter().find(|(patterns, _)| meant(patterns));
        found.map_or(&self.all, |(_, client)| client)
    }
}

fn client(
    config: &Config,
    policy: &EndpointPolicy,
    lookup: &Arc<dyn Lookup>,
    tls: ClientConfig,
) -> Result<Client, Error> {
    // Behind a proxy, it is the only one that is connected to, and the operator's choice. It looks
    // up the names of endpoints.
    let addresses = config.proxy.is_none().then(|| policy.addresses.clone());
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(policy.https_only)
        .dns_resolver(Resolver::new(Arc::clone(lookup), addresses))
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .user_agent(config.user_agent.as_str())
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.idle_connections_per_host_max)
        .pool_idle_timeout(config.idle_connection_timeout)
        .tcp_keepalive(KEEPALIVE_INTERVAL)
        .http2_max_header_list_size(RESPONSE_HEADER_BYTES_MAX);
    let builder = match &config.proxy {
        Some(proxy) => builder.proxy(Proxy::all(proxy.url().clone()).map_err(Error::Client)?),
        None => builder,
    };
    builder.build().map_err(Error::Client)
}
