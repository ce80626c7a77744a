//! The section `[auth]`.

use std::collections::BTreeSet;

use cresset_model::PayloadContent;

use super::super::auth::{Auth, Right, TOKENS_PER_CLIENT_MAX};
use super::{check, flags, load_with, problems};

const HASH: &str = "8d23cf6c86e834a7aa6eded54c26ce2bb2e74903538c61bdd5d2197997ab2f72";

fn client(name: &str, hash: &str) -> String {
    format!("[[auth.client]]\nname = \"{name}\"\ntoken-sha256 = \"{hash}\"\nrights = [\"read\"]\n")
}

#[test]
fn clients_are_read_with_hashes_and_rights() {
    let other = HASH.replace('8', "9").to_uppercase();
    let file = format!(
        "[auth]\nmode = \"tokens\"\n[[auth.client]]\nname = \"a\"\n\
         token-sha256 = [\"{HASH}\", \"{other}\"]\nrights = [\"write\", \"read\", \"write\"]\n"
    );
    let Auth::Tokens(clients) = load_with(&file, &[], flags()).unwrap().auth else { panic!() };
    assert_eq!(clients.len(), 1);
    assert_eq!(clients[0].name.as_str(), "a");
    assert_eq!(clients[0].token_hashes[0].0[..3], [0x8d, 0x23, 0xcf]);
    assert_eq!(clients[0].token_hashes[1].0[..3], [0x9d, 0x23, 0xcf]);
    assert_eq!(clients[0].rights, [Right::Read, Right::Write]);
    assert!(!format!("{clients:?}").contains("141"), "Debug shows a hash");
}

#[test]
fn a_client_may_be_bounded_to_topics_and_a_content_level() {
    let file = |bounds: &str| format!("[auth]\nmode = \"tokens\"\n{}{bounds}\n", client("a", HASH));
    let load = |bounds: &str| match load_with(&file(bounds), &[], flags()).unwrap().auth {
        Auth::Tokens(mut clients) => clients.remove(0),
        Auth::None => panic!(),
    };
    let free = load("");
    assert_eq!((free.topics, free.content_max), (None, None));
    let bounded = load("topics = [\"http://a/b\", \"urn:c\"]\ncontent-max = \"id-only\"");
    assert_eq!(bounded.topics, Some(["http://a/b", "urn:c"].map(str::to_owned).into()));
    assert_eq!(bounded.content_max, Some(PayloadContent::IdOnly));
    assert_eq!(load("topics = []").topics, Some(BTreeSet::new()), "none at all");
    let place = "cresset.toml:7: auth.client[0].topics: must be the canonical URL of a topic";
    check(
        &file("topics = [\"http://a|1\"]"),
        &format!("{place} without |version, not \"http://a|1\""),
    );
    check(&file("topics = [\"a\"]"), &format!("{place} without |version, not \"a\""));
    let admin = file("content-max = \"empty\"").replace("[\"read\"]", "[\"admin\"]");
    check(
        &admin,
        "cresset.toml:3: auth.client[0].content-max: does not go together with the right \"admin\"",
    );
}

#[test]
fn clients_may_come_from_the_environment() {
    let list = format!("[{{ name = \"a\", token-sha256 = \"{HASH}\", rights = [\"admin\"] }}]");
    let variables = [("CRESSET__AUTH__MODE", "tokens"), ("CRESSET__AUTH__CLIENT", list.as_str())];
    let loaded = load_with("", &variables, flags()).unwrap();
    assert!(matches!(loaded.auth, Auth::Tokens(clients) if clients[0].rights == [Right::Admin]));
}

#[test]
fn without_tokens_only_loopback_is_listened_on() {
    let listen = |address: &str| {
        format!("[server]\nlisten = \"{address}\"\nbase-url = \"https://example.org\"\n")
    };
    for address in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
        assert!(load_with(&listen(address), &[], flags()).is_ok(), "{address}");
    }
    for address in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "[::ffff:10.0.0.1]:80"] {
        check(
            &listen(address),
            "cresset.toml:2: server.listen: listening on an address other than loopback needs \
             auth.mode \"tokens\"",
        );
    }
    let tokens =
        format!("{}[auth]\nmode = \"tokens\"\n{}", listen("0.0.0.0:80"), client("a", HASH));
    assert!(load_with(&tokens, &[], flags()).is_ok());
}

#[test]
fn listening_on_all_addresses_needs_a_base_url() {
    let file = format!(
        "[server]\nlisten = \"0.0.0.0:80\"\n[auth]\nmode = \"tokens\"\n{}",
        client("a", HASH)
    );
    check(
        &file,
        "cresset.toml:2: server.base-url: is required when listening on all addresses: clients \
         get links made from it",
    );
}

#[test]
fn tokens_without_clients_are_refused() {
    check(
        "[auth]\nmode = \"tokens\"",
        "cresset.toml:2: auth.mode: \"tokens\" needs at least one [[auth.client]]",
    );
}

#[test]
fn all_problems_of_a_client_come_at_once() {
    let file = "[[auth.client]]\nname = \"a b\"\ntoken = \"x\"\nrights = [\"read\", \"fly\"]\n";
    assert_eq!(
        problems(file, &[], flags()),
        [
            "cresset.toml:1: auth.client[0].token-sha256: is missing",
            "cresset.toml:2: auth.client[0].name: must be 1 to 64 visible ASCII characters",
            "cresset.toml:3: auth.client[0].token: unknown key",
            "cresset.toml:4: auth.client[0].rights: must be one of \"admin\", \"metrics\", \"notify\", \
             \"read\", \"subscribe\", \"topics\", \"write\", not \"fly\"",
        ]
    );
}

#[test]
fn the_servers_own_names_are_not_for_clients() {
    for name in ["anonymous", "configuration", "cresset"] {
        check(
            &client(name, HASH),
            &format!(
                "cresset.toml:2: auth.client[0].name: \"{name}\" is what the server calls itself; \
                 choose another name"
            ),
        );
    }
}

#[test]
fn names_and_tokens_belong_to_one_client() {
    let file = format!("{}{}", client("a", HASH), client("a", HASH));
    assert_eq!(
        problems(&file, &[], flags()),
        [
            "cresset.toml:5: auth.client[1].name: is also that of auth.client[0]",
            "cresset.toml:5: auth.client[1].token-sha256: holds a hash that auth.client[0] has",
        ]
    );
}

#[test]
fn forms_of_clients_and_rights_are_checked() {
    check(
        "[auth]\nclient = 5",
        "cresset.toml:2: auth.client: must be a list: write [[auth.client]]",
    );
    check(
        "[auth]\nclient = [5]",
        "cresset.toml:2: auth.client[0]: must be a section: write [[auth.client]]",
    );
    let none = client("a", HASH).replace("[\"read\"]", "[]");
    check(&none, "cresset.toml:4: auth.client[0].rights: must name at least one right");
    let many = format!("[{}]", vec![format!("\"{HASH}\""); TOKENS_PER_CLIENT_MAX + 1].join(","));
    let many = client("a", HASH).replace(&format!("\"{HASH}\""), &many);
    check(&many, "cresset.toml:3: auth.client[0].token-sha256: must have 1 to 8 entries, not 9");
}

#[test]
fn a_token_in_place_of_its_hash_is_never_shown() {
    let sixty_four = format!("{:\u{e9}<32}", "marker");
    let short = client("a", "marker-token");
    let long = client("a", &sixty_four);
    let number = client("a", HASH).replace(&format!("\"{HASH}\""), "1234567");
    for file in [short, long, number] {
        let found = problems(&file, &[], flags()).concat();
        assert!(found.contains("auth.client[0].token-sha256: must be "), "{found}");
        assert!(!found.contains("marker") && !found.contains("1234567"), "{found}");
    }
}
