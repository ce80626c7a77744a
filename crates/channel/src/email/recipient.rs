//! The one address that a `mailto:` endpoint may hold.
//!
//! Stricter than RFC 5321 on purpose: what is refused (quotes, routes, lists, headers in the URL) has
//! been a way to reach other people, or other headers, than those that the address seems to name. Its
//! tests are in `email/tests.rs`.

use std::fmt;

use lettre::Address;

/// Longest address (RFC 5321, section 4.5.3.1).
const ADDRESS_LENGTH_MAX: usize = 254;
/// Longest part before the `@`.
const LOCAL_LENGTH_MAX: usize = 64;
/// Longest label of a domain.
const LABEL_LENGTH_MAX: usize = 63;

/// The address of a `mailto:` endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(Address);

/// Why an endpoint is refused. Its text holds nothing of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientRefusal {
    /// Something that could be more than one address.
    Address,
    /// Header fields in the URL.
    Fields,
    /// Longer than an address can be.
    Length,
    /// No `mailto:` URL.
    Scheme,
}

impl RecipientRefusal {
    /// What is wrong, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => {
                "the endpoint must hold exactly one plain address in ASCII, such as \
                 mailto:ward@example.org; international domains in their xn-- form"
            }
            Self::Fields => "the endpoint must hold an address only, and no fields",
            Self::Length => "the address is longer than 254 characters",
            Self::Scheme => "the endpoint must be a mailto: URL",
        }
    }
}

impl fmt::Display for RecipientRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not derived: addresses are not for logs.
impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient(…)")
    }
}

impl Recipient {
    /// Takes the address out of a `mailto:` URL.
    ///
    /// # Errors
    ///
    /// Anything but one plain address (RQ-CH-60, RQ-SB-11).
    pub fn parse(endpoint: &str) -> Result<Self, RecipientRefusal> {
        let scheme = endpoint.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
        let rest = scheme.and_then(|scheme| endpoint.get(scheme.len()..));
        let rest = rest.ok_or(RecipientRefusal::Scheme)?;
        if rest.contains(['?', '#']) {
            return Err(RecipientRefusal::Fields);
        }
        let decoded = percent_encoding::percent_decode_str(rest).decode_utf8();
        let address = decoded.map_err(|_| RecipientRefusal::Address)?;
        if address.len() > ADDRESS_LENGTH_MAX {
            return Err(RecipientRefusal::Length);
        }
        let (local, domain) = address.split_once('@').ok_or(RecipientRefusal::Address)?;
        if !is_local_part(local) || !is_mail_domain(domain) {
            return Err(RecipientRefusal::Address);
        }
        Address::new(local, domain.to_ascii_lowercase())
            .map(Self)
            .map_err(|_| RecipientRefusal::Address)
    }

    /// The part behind the `@`, in lower case.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The address; never for a log.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    pub(super) fn address(&self) -> &Address {
        &self.0
    }
}

/// Atoms with dots between them. `%` and `!` are atoms to RFC 5321, but routes to some relays.
fn is_local_part(text: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"#$&'*+-/=?^_`{|}~".contains(&byte))
    };
    text.len() <= LOCAL_LENGTH_MAX && text.split('.').all(is_atom)
}

/// Whether the text can be the domain of a mail address: labels of letters, digits and hyphens.
pub fn is_mail_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_LENGTH_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= ADDRESS_LENGTH_MAX && text.split('.').all(is_label)
}
