//! The section `[auth]`: who may do what.
//!
//! Tokens never stand in a configuration, only their hashes; should one do by mistake, no message
//! repeats it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cresset_model::{ClientName, PayloadContent};

use super::entries::{Entry, read_all};
use super::reader::Reader;
use super::value::{self, Kind};

/// Most clients.
pub(crate) const CLIENTS_MAX: usize = 10_000;

/// Most topics that one client can be bounded to.
pub(crate) const TOPICS_PER_CLIENT_MAX: usize = 1_000;

/// Most tokens that one client may have at a time.
pub(crate) const TOKENS_PER_CLIENT_MAX: usize = 8;

/// Authors that the log knows and that are no clients: the server, its configuration, and everybody
/// where nobody has to log in.
const RESERVED_NAMES: [&str; 3] = ["anonymous", "configuration", "cresset"];

/// How clients prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Not at all: everybody is one client. The configuration allows it on loopback only.
    None,
    /// With a bearer token.
    Tokens(Vec<Client>),
}

/// A client and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its name, unlike any other.
    pub(crate) name: ClientName,
    /// At least one, unlike those of any other client.
    pub(crate) token_hashes: Vec<TokenHash>,
    /// At least one, each once, sorted.
    pub(crate) rights: Vec<Right>,
    /// URLs of the topics it may subscribe to; none if any.
    pub(crate) topics: Option<BTreeSet<String>>,
    /// The highest content level of its subscriptions; none if any.
    pub(crate) content_max: Option<PayloadContent>,
}

/// SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenHash(pub(crate) [u8; 32]);

/// Something a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// Everything, also with the subscriptions of others.
    Admin,
    /// Read metrics.
    Metrics,
    /// Tell of events that are no changes of data.
    Notify,
    /// Read and search.
    Read,
    /// Create and manage subscriptions of its own.
    Subscribe,
    /// Create, change and delete topics.
    Topics,
    /// Create, change and delete resources.
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    None,
    Tokens,
}

const MODES: &[(&str, Mode)] = &[("none", Mode::None), ("tokens", Mode::Tokens)];

const RIGHTS: &[(&str, Right)] = &[
    ("admin", Right::Admin),
    ("metrics", Right::Metrics),
    ("notify", Right::Notify),
    ("read", Right::Read),
    ("subscribe", Right::Subscribe),
    ("topics", Right::Topics),
    ("write", Right::Write),
];

const CLIENT_KEYS: [&str; 5] = ["content-max", "name", "rights", "token-sha256", "topics"];

const CONTENTS: &[(&str, PayloadContent)] = &[
    ("empty", PayloadContent::Empty),
    ("id-only", PayloadContent::IdOnly),
    ("full-resource", PayloadContent::FullResource),
];

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Reads the section. That `none` goes with loopback only is for who knows the address.
pub(crate) fn read(reader: &mut Reader) -> Auth {
    let mode = reader.required("auth.mode", &value::choice(MODES));
    let clients = clients(reader);
    match mode {
        Mode::None => Auth::None,
        Mode::Tokens => {
            if clients.is_empty() {
                let text = "\"tokens\" needs at least one [[auth.client]]";
                reader.contradiction(&["auth.mode", "auth.client"], text);
            }
            Auth::Tokens(clients)
        }
    }
}

fn clients(reader: &mut Reader) -> Vec<Client> {
    let mut taken = Taken::default();
    read_all(reader, "auth.client", CLIENTS_MAX, &CLIENT_KEYS, |entry| client(entry, &mut taken))
}

/// Names and hashes that clients before have, with the key of who has them.
#[derive(Default)]
struct Taken {
    names: BTreeMap<String, String>,
    hashes: BTreeMap<TokenHash, String>,
}

fn client(entry: &mut Entry<'_>, taken: &mut Taken) -> Option<Client> {
    let name = entry.read("name", &client_name());
    let token_hashes = entry.read("token-sha256", &token_hashes());
    let rights = entry.read("rights", &rights());
    let topics = entry.optional("topics", &topics());
    let content_max = entry.optional("content-max", &value::choice(CONTENTS));
    let (name, token_hashes, rights) = (name?, token_hashes?, rights?);
    taken.refuse(entry, &name, &token_hashes);
    let bounds = [("topics", topics.is_some()), ("content-max", content_max.is_some())];
    for (key, _) in bounds.into_iter().filter(|(_, is_set)| *is_set) {
        // An admin may change what others subscribed to, so this would bound nothing.
        if rights.contains(&Right::Admin) {
            entry.refuse(key, "does not go together with the right \"admin\"".to_owned());
        }
    }
    Some(Client { name, token_hashes, rights, topics, content_max })
}

impl Taken {
    /// Two clients with one name would share subscriptions, with one token be one another.
    fn refuse(&mut self, entry: &mut Entry<'_>, name: &ClientName, hashes: &[TokenHash]) {
        let prefix = entry.prefix().to_owned();
        if let Some(other) = self.names.insert(name.as_str().to_owned(), prefix.clone()) {
            entry.refuse("name", format!("is also that of {other}"));
        }
        for hash in hashes {
            if let Some(other) = self.hashes.insert(*hash, prefix.clone()) {
                entry.refuse("token-sha256", format!("holds a hash that {other} has"));
            }
        }
    }
}

/// A name that is none of the server's own.
pub(crate) fn client_name() -> Kind<ClientName> {
    value::name().and_then(|name| {
        if RESERVED_NAMES.contains(&name.as_str()) {
            return Err(format!("{name:?} is what the server calls itself; choose another name"));
        }
        ClientName::new(&name).map_err(|_| "must be 1 to 64 visible ASCII characters".to_owned())
    })
}

fn token_hashes() -> Kind<Vec<TokenHash>> {
    value::one_or_more(token_hash(), TOKENS_PER_CLIENT_MAX)
}

/// A hash of a token or password. The messages do not repeat the value: a token in its place would get
/// into the log.
pub(crate) fn token_hash() -> Kind<TokenHash> {
    value::hidden().and_then(|text| {
        let wrong = || {
            "must be the SHA-256 of a token, 64 hexadecimal digits; see \"cresset token hash\""
                .to_owned()
        };
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() || !text.is_ascii() {
            return Err(wrong());
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(TokenHash(bytes))
    })
}

/// Canonical URLs, which stand for all versions of a topic.
fn topics() -> Kind<BTreeSet<String>> {
    let url = value::name().and_then(|text| match text.contains(':') && !text.contains('|') {
        true => Ok(text),
        false => {
            Err(format!("must be the canonical URL of a topic without |version, not {text:?}"))
        }
    });
    value::list(url, TOPICS_PER_CLIENT_MAX).and_then(|urls| Ok(urls.into_iter().collect()))
}

fn rights() -> Kind<Vec<Right>> {
    value::list(value::choice(RIGHTS), RIGHTS.len()).and_then(|mut rights| {
        rights.sort_unstable();
        rights.dedup();
        if rights.is_empty() { Err("must name at least one right".to_owned()) } else { Ok(rights) }
    })
}
