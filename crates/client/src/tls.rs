//! Whom the client trusts: the authorities that the machine trusts.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// The configuration for HTTPS and secure websockets. The provider is given explicitly, as a default of the process
/// could be set by anybody.
pub(crate) fn client_config() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // What the machine's store holds in broken entries is its own matter; the others count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
