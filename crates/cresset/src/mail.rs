//! The channel email, from its configuration: relay, password, and the key of the links in mails.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cresset_channel::{AddressPolicy, Email};
use cresset_node::{EmailConfig, LinkKey};

use crate::config::{Config, StoreKind};

/// The file in the data directory that keeps the key of links, where the operator names none.
const LINK_KEY_FILE: &str = "email-link.key";

/// What the node needs to send mails; none where no relay is configured.
///
/// Call it when the store is open: its directory takes the key of links.
pub(crate) fn config(config: &Config, base_url: &str) -> anyhow::Result<Option<EmailConfig>> {
    let email = &config.email;
    let (Some(relay), Some(from)) = (&email.relay, &email.from) else { return Ok(None) };
    let relay = cresset_channel::EmailConfig {
        relay: relay.clone(),
        port: u16::try_from(email.port.get()).context("email.port is no port")?,
        security: email.security,
        credentials: credentials(config)?,
        from: from.clone(),
        reply_to: email.reply_to.clone(),
        extra_ca_files: email.extra_ca_files.clone(),
        // The relay is the operator's own choice, so it may stand in the operator's network.
        addresses: AddressPolicy {
            allow_local: true,
            allow: config.rest_hook.allow_addresses.clone(),
            deny: config.rest_hook.deny_addresses.clone(),
        },
        connect_timeout: email.connect_timeout,
        connections_max: email.connections_max.get(),
    };
    let relay = Email::new(&relay).context("the channel email cannot be set up")?;
    let link_base_url = email.link_base_url.as_ref().map_or(base_url, |url| url.as_str());
    let link_base_url = link_base_url.trim_end_matches('/').to_owned();
    if !link_base_url.starts_with("https:") {
        tracing::warn!("links in mails do not use https: mail programs offer no unsubscription");
    }
    Ok(Some(EmailConfig {
        relay,
        link_base_url,
        link_key: LinkKey::new(&link_key(config)?),
        confirm: email.confirm,
        confirmation_lifetime: email.confirmation_lifetime,
        message_bytes_max: email.message_max.get(),
        allow_full_resource: email.allow_full_resource,
        allow_domains: email.allow_domains.clone(),
        deny_domains: email.deny_domains.clone(),
        mails_per_hour_max: email.mails_per_hour_max,
        confirmations_per_day_max: email.confirmations_per_day_max,
        heartbeat_min: email.heartbeat_min,
    }))
}

fn credentials(config: &Config) -> anyhow::Result<Option<(String, String)>> {
    let email = &config.email;
    let Some(username) = &email.username else { return Ok(None) };
    let password = match (&email.password, &email.password_file) {
        (Some(password), _) => password.expose().to_owned(),
        (None, Some(path)) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("the password in {} cannot be read", path.display()))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, None) => return Ok(None),
    };
    Ok(Some((username.clone(), password)))
}

/// The key of links: from its file, which is made where it is missing.
fn link_key(config: &Config) -> anyhow::Result<[u8; 32]> {
    let path: PathBuf = match (&config.email.link_key_file, config.store.kind) {
        (Some(path), _) => path.clone(),
        (None, StoreKind::Embedded) => config.store.directory.join(LINK_KEY_FILE),
        // Links live no longer than the subscriptions in memory do.
        (None, StoreKind::Memory) => return random(),
    };
    kept_key(&path).with_context(|| format!("the key of links in {}", path.display()))
}

fn kept_key(path: &Path) -> anyhow::Result<[u8; 32]> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let bits = STANDARD.decode(text.trim()).ok();
            bits.and_then(|bits| bits.try_into().ok()).context("is not 32 bytes in base64")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bits = random()?;
            // Whole or not at all: half a key would be none after a crash.
            let unfinished = path.with_extension("tmp");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(format!("{}\n", STANDARD.encode(bits)).as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, path)?;
            Ok(bits)
        }
        Err(error) => Err(error.into()),
    }
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)
        .map_err(|error| anyhow::anyhow!("no randomness for the key of links: {error}"))?;
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_links_is_made_once_and_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LINK_KEY_FILE);
        let key = kept_key(&path).unwrap();
        assert_eq!(kept_key(&path).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "half a key").unwrap();
        assert!(kept_key(&path).unwrap_err().to_string().contains("32 bytes in base64"));
    }
}
