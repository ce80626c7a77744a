//! The sections `[[rest-hook.tls]]`: whom single hosts are trusted by, and who the server is to them.

use cresset_channel::{HostConfig, HostPattern, Identity};

use super::entries::{Entry, read_all};
use super::reader::Reader;
use super::value::{self, Kind};

/// Most sections.
pub(crate) const HOSTS_MAX: usize = 100;

/// Most patterns, and most files of authorities, of one section.
const LIST_MAX: usize = 100;

const KEYS: [&str; 4] = ["ca-files", "certificate-file", "hosts", "key-file"];

/// Reads the sections.
pub(crate) fn read(reader: &mut Reader) -> Vec<HostConfig> {
    read_all(reader, "rest-hook.tls", HOSTS_MAX, &KEYS, host)
}

fn host(entry: &mut Entry<'_>) -> Option<HostConfig> {
    let hosts = entry.read("hosts", &value::one_or_more(host_pattern(), LIST_MAX));
    let ca_files = entry.optional("ca-files", &value::list(value::path(), LIST_MAX));
    let certificate_file = entry.optional("certificate-file", &value::path());
    let key_file = entry.optional("key-file", &value::path());
    let identity = match (certificate_file, key_file) {
        (Some(certificate_file), Some(key_file)) => Some(Identity { certificate_file, key_file }),
        (Some(_), None) => {
            entry.refuse("key-file", "is missing: the certificate needs its key".to_owned());
            None
        }
        (None, Some(_)) => {
            let text = "is missing: the key needs its certificate";
            entry.refuse("certificate-file", text.to_owned());
            None
        }
        (None, None) => None,
    };
    Some(HostConfig { hosts: hosts?, ca_files: ca_files.unwrap_or_default(), identity })
}

fn host_pattern() -> Kind<HostPattern> {
    value::name().and_then(|text| {
        HostPattern::parse(&text).map_err(|wrong| format!("{wrong}, not {text:?}"))
    })
}
