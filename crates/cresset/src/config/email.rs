//! `[email]`: the relay, what goes through it, and who may be written to.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use cresset_channel::{Security, is_mail_domain};
use url::Url;

use super::reader::Reader;
use super::value::{self, Kind, boolean, choice, count, duration, hidden, list, name, size};

/// `[email]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    pub(crate) relay: Option<String>,
    pub(crate) port: NonZeroU32,
    pub(crate) security: Security,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) extra_ca_files: Vec<PathBuf>,
    pub(crate) connect_timeout: Duration,
    pub(crate) connections_max: NonZeroUsize,
    pub(crate) from: Option<String>,
    pub(crate) reply_to: Option<String>,
    pub(crate) link_base_url: Option<Url>,
    pub(crate) link_key_file: Option<PathBuf>,
    pub(crate) confirm: bool,
    pub(crate) confirmation_lifetime: Duration,
    pub(crate) message_max: NonZeroUsize,
    pub(crate) allow_full_resource: bool,
    pub(crate) allow_domains: Vec<String>,
    pub(crate) deny_domains: Vec<String>,
    pub(crate) mails_per_hour_max: NonZeroU32,
    pub(crate) confirmations_per_day_max: NonZeroU32,
    pub(crate) heartbeat_min: Duration,
}

/// A text that is a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Email {
    pub(super) fn read(reader: &mut Reader) -> Self {
        const SECURITIES: &[(&str, Security)] =
            &[("plain", Security::Plain), ("starttls", Security::StartTls), ("tls", Security::Tls)];
        Self {
            relay: reader.optional("email.relay", &name()),
            port: reader.required("email.port", &count(1, 65_535)),
            security: reader.required("email.security", &choice(SECURITIES)),
            username: reader.optional("email.username", &name()),
            password: reader.optional("email.password", &hidden().and_then(|it| Ok(Secret(it)))),
            password_file: reader.optional("email.password-file", &value::path()),
            extra_ca_files: reader.required("email.extra-ca-files", &list(value::path(), 100)),
            connect_timeout: reader.required("email.connect-timeout", &duration("100ms", "1m")),
            connections_max: reader.required("email.connections-max", &count(1, 1000)),
            from: reader.optional("email.from", &name()),
            reply_to: reader.optional("email.reply-to", &name()),
            link_base_url: reader.optional("email.link-base-url", &value::base_url()),
            link_key_file: reader.optional("email.link-key-file", &value::path()),
            confirm: reader.required("email.confirm", &boolean()),
            confirmation_lifetime: reader
                .required("email.confirmation-lifetime", &duration("1s", "30d")),
            message_max: reader.required("email.message-max", &size("1MiB", "100MiB")),
            allow_full_resource: reader.required("email.allow-full-resource", &boolean()),
            allow_domains: reader.required("email.allow-domains", &list(domain(), 1000)),
            deny_domains: reader.required("email.deny-domains", &list(domain(), 1000)),
            mails_per_hour_max: reader.required("email.mails-per-hour-max", &count(1, 10_000)),
            confirmations_per_day_max: reader
                .required("email.confirmations-per-day-max", &count(1, 1000)),
            heartbeat_min: reader.required("email.heartbeat-min", &duration("1s", "30d")),
        }
    }

    /// What no key can be wrong about alone.
    pub(super) fn check(&self, reader: &mut Reader) {
        if self.relay.is_some() && self.from.is_none() {
            let text = "is required with email.relay: mails need a sender";
            reader.contradiction(&["email.from", "email.relay"], text);
        }
        let is_plain = self.security == Security::Plain;
        if is_plain && self.username.is_some() {
            let text = "a password is not sent without TLS: email.security must not be \"plain\"";
            reader.contradiction(&["email.username", "email.security"], text);
        }
        if is_plain && self.allow_full_resource {
            let text = "needs email.security \"starttls\" or \"tls\": resources go encrypted only";
            reader.contradiction(&["email.allow-full-resource", "email.security"], text);
        }
        let passwords =
            usize::from(self.password.is_some()) + usize::from(self.password_file.is_some());
        if passwords != usize::from(self.username.is_some()) {
            let text = "goes with exactly one of email.password and email.password-file";
            let keys = ["email.username", "email.password", "email.password-file"];
            reader.contradiction(&keys, text);
        }
    }
}

/// A domain of mail addresses, in lower case.
fn domain() -> Kind<String> {
    name().and_then(|text| match is_mail_domain(&text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("must be a domain such as \"example.org\", not {text:?}")),
    })
}
