//! Whom the client trusts, and with what cryptography.
//!
//! The provider is given explicitly: a process-wide default could be set by any dependency. Trusted
//! are the system's authorities and those of the configured files. A machine without any still
//! starts, since it may have no `https` endpoint; attempts to one then fail as untrusted, and
//! `RestHook::trusted_roots` lets the start-up say so. Hosts may have authorities of their own besides,
//! and a certificate that the server shows to them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
    /// A file of the server's own identity cannot be read.
    #[error("cannot read the file {path}")]
    IdentityFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the server's own identity holds no certificate, or no key.
    #[error("the file {path} holds no usable {what} in PEM form")]
    IdentityContent {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key are not of one another, or of a kind that TLS does not use.
    #[error("the certificate in {path} cannot be used with its key")]
    IdentityMismatch {
        /// The file of the certificate.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The cryptography does not offer what TLS needs.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// What the server shows to hosts that ask who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// File in PEM form: its certificate, and those that lead to its authority.
    pub certificate_file: PathBuf,
    /// File in PEM form: the key of the certificate. A secret.
    pub key_file: PathBuf,
}

impl Identity {
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let path = &self.certificate_file;
        let pem = Self::read(path)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        certificates
            .ok()
            .filter(|found| !found.is_empty())
            .ok_or_else(|| Error::IdentityContent { path: path.clone(), what: "certificate" })
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        let path = &self.key_file;
        PrivateKeyDer::from_pem_slice(&Self::read(path)?)
            .map_err(|_| Error::IdentityContent { path: path.clone(), what: "key" })
    }

    fn read(path: &Path) -> Result<Vec<u8>, Error> {
        std::fs::read(path).map_err(|source| Error::IdentityFile { path: path.to_owned(), source })
    }
}

/// The authorities that are trusted.
#[derive(Debug, Clone)]
pub(crate) struct Trust(RootCertStore);

impl Trust {
    /// Those of the system and of these files. Reads files; call it at start-up.
    pub(crate) fn new(extra_ca_files: &[PathBuf]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        // What the system store holds in broken entries is the system's matter; the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(roots).and(extra_ca_files)
    }

    /// The same, and those of these files.
    pub(crate) fn and(&self, ca_files: &[PathBuf]) -> Result<Self, Error> {
        let mut roots = self.0.clone();
        for path in ca_files {
            add_file(&mut roots, path)?;
        }
        Ok(Self(roots))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// The configuration of TLS, with HTTP/2 and HTTP/1.1 offered.
pub(crate) fn client_config(
    trust: Trust,
    identity: Option<&Identity>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(trust.0);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (certificates, key) = (identity.certificates()?, identity.key()?);
            let path = || identity.certificate_file.clone();
            builder
                .with_client_auth_cert(certificates, key)
                .map_err(|source| Error::IdentityMismatch { path: path(), source })?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// How the server proves to a broker who it is, and whom it trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerTls {
    /// Files in PEM form of authorities trusted besides the system's.
    pub extra_ca_files: Vec<PathBuf>,
    /// What to show to the broker.
    pub identity: Option<Identity>,
}

/// The configuration of TLS towards a broker, which speaks a protocol of its own. Reads files; call
/// it at start-up.
pub(crate) fn broker_config(tls: &BrokerTls) -> Result<ClientConfig, Error> {
    let mut config = client_config(Trust::new(&tls.extra_ca_files)?, tls.identity.as_ref())?;
    config.alpn_protocols.clear();
    Ok(config)
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
