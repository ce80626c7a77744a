//! The section `[console]`: whether operators' pages are served, and who may log in besides those with
//! a token.

use std::time::Duration;

use cresset_model::ClientName;

use super::auth::{self, Auth, TokenHash};
use super::reader::Reader;
use super::value::{choice, duration};

/// `[console]`; its fields are described in `default.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Console {
    pub(crate) serve: Serve,
    pub(crate) user: Option<ClientName>,
    pub(crate) password_hash: Option<TokenHash>,
    pub(crate) session_lifetime: Duration,
}

/// `console.serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serve {
    /// If the server is for this machine only.
    Local,
    Off,
    On,
}

impl Console {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        const SERVE: &[(&str, Serve)] =
            &[("local", Serve::Local), ("off", Serve::Off), ("on", Serve::On)];
        Self {
            serve: reader.required("console.serve", &choice(SERVE)),
            user: reader.optional("console.user", &auth::client_name()),
            password_hash: reader.optional("console.password-sha256", &auth::token_hash()),
            session_lifetime: reader.required("console.session-lifetime", &duration("1m", "7d")),
        }
    }

    /// What no key can be wrong about alone.
    pub(crate) fn check(&self, reader: &mut Reader, clients: &Auth) {
        if self.user.is_some() != self.password_hash.is_some() {
            let keys = ["console.user", "console.password-sha256"];
            reader.contradiction(&keys, "console.user and console.password-sha256 go together");
        }
        let Auth::Tokens(clients) = clients else { return };
        if clients.iter().any(|client| Some(&client.name) == self.user.as_ref()) {
            let text = "is also the name of a client: what both do could not be told apart";
            reader.contradiction(&["console.user", "auth.client"], text);
        }
    }
}
