//! Whom the client trusts, and with what cryptography.
//!
//! The provider is given explicitly: a process-wide default could be set by any dependency. Trusted
//! are the system's authorities and those of the configured files. A machine without any still
//! starts, since it may have no `https` endpoint; attempts to one then fail as untrusted, and
//! `RestHook::trusted_roots` lets the start-up say so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why no client could be made. The reaction is the same for all: do not start, tell the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of certificate authorities cannot be read.
    #[error("cannot read the certificate file {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificate that can be an authority.
    #[error("the certificate file {path} holds no usable certificate in PEM form")]
    CaFileContent {
        /// The file.
        path: PathBuf,
    },
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The cryptography does not offer what TLS needs.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// Loads the roots and makes the configuration of TLS, with HTTP/2 and HTTP/1.1 offered.
///
/// Returns the number of trusted authorities beside it. Reads files; call it at start-up.
pub(crate) fn client_config(extra_ca_files: &[PathBuf]) -> Result<(ClientConfig, usize), Error> {
    let mut roots = RootCertStore::empty();
    // What the system store holds in broken entries is the system's matter; the others count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for path in extra_ca_files {
        add_file(&mut roots, path)?;
    }
    let count = roots.len();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, count))
}

/// Why there is no trusted connection, in words of our own: those of the library tell names that
/// stand in the certificate.
pub(crate) fn untrusted_because(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as C;
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return if matches!(error, rustls::Error::AlertReceived(_)) {
            "the endpoint ended the TLS handshake"
        } else {
            "the TLS handshake with the endpoint failed"
        };
    };
    if matches!(certificate, C::UnknownIssuer) {
        "the certificate of the endpoint is not from a trusted authority"
    } else if matches!(certificate, C::NotValidForName | C::NotValidForNameContext { .. }) {
        "the certificate of the endpoint is for another name"
    } else if matches!(certificate, C::Expired | C::ExpiredContext { .. }) {
        "the certificate of the endpoint has expired"
    } else if matches!(certificate, C::NotValidYet | C::NotValidYetContext { .. }) {
        "the certificate of the endpoint is not valid yet"
    } else {
        "the certificate of the endpoint is not valid"
    }
}

/// Adds every certificate of the file, or refuses the file as a whole.
fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let pem =
        std::fs::read(path).map_err(|source| Error::CaFile { path: path.to_owned(), source })?;
    let unusable = || Error::CaFileContent { path: path.to_owned() };
    let certificates: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| unusable())?;
    if certificates.is_empty() {
        return Err(unusable());
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|_| unusable())?;
    }
    Ok(())
}
