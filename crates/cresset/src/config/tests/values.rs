//! What values keys take.

use std::time::Duration;

use proptest::prelude::*;

use super::super::tree::parse_toml;
use super::super::value::{parse_duration, parse_size};
use super::super::{Origin, SearchIndex, load};
use super::{check, flags, load_with, problems};

#[test]
fn durations_need_units_and_sizes_too() {
    for (text, milliseconds) in [
        ("0s", Some(0)),
        ("250ms", Some(250)),
        ("30s", Some(30_000)),
        ("5m", Some(300_000)),
        ("1h30m", Some(5_400_000)),
        ("2d", Some(172_800_000)),
        ("1d2h3m4s5ms", Some(93_784_005)),
        ("", None),
        ("30", None),
        ("s", None),
        ("30 s", None),
        ("-1s", None),
        ("1.5s", None),
        ("1m1m", None),
        ("1s1m", None),
        ("1w", None),
        ("1S", None),
        ("99999999999999999999s", None),
        ("9999999999999999999d", None),
    ] {
        assert_eq!(parse_duration(text), milliseconds.map(Duration::from_millis), "{text:?}");
    }
    for (text, bytes) in [
        ("0B", Some(0)),
        ("10B", Some(10)),
        ("1kB", Some(1000)),
        ("1KiB", Some(1024)),
        ("10 MiB", Some(10 << 20)),
        ("1MB", Some(1_000_000)),
        ("2GiB", Some(2 << 30)),
        ("2GB", Some(2_000_000_000)),
        ("10", None),
        ("MiB", None),
        ("1.5MiB", None),
        ("-1B", None),
        ("1KB", None),
        ("1M", None),
        ("99999999999GiB", None),
    ] {
        assert_eq!(parse_size(text), bytes, "{text:?}");
    }
}

#[test]
fn every_kind_of_value_says_what_would_be_right() {
    for (file, expect) in [
        ("[topics]\nbundled = 1", "topics.bundled: must be true or false, not 1"),
        ("[topics]\nbundled = \"true\"", "topics.bundled: must be true or false, not \"true\""),
        (
            "[store]\nkind = \"postgres\"",
            "store.kind: must be one of \"embedded\", \"memory\", not \"postgres\"",
        ),
        (
            "[store]\nkind = 5",
            "store.kind: must be text in quotes, with a unit if it has one, not 5",
        ),
        ("[store]\ndirectory = \"\"", "store.directory: must not be empty"),
        (
            "[store]\ndirectory = 1979-05-27",
            "store.directory: must be text in quotes, not a date or time",
        ),
        (
            "[limits]\nreads-max = 257",
            "limits.reads-max: must be a whole number between 1 and 256, not 257",
        ),
        (
            "[limits]\nreads-max = -1",
            "limits.reads-max: must be a whole number between 1 and 256, not -1",
        ),
        (
            "[limits]\nreads-max = 1.5",
            "limits.reads-max: must be a whole number between 1 and 256, not a number with a \
             fraction",
        ),
        (
            "[limits]\nreads-max = 99999999999999999999",
            "limits.reads-max: must be a whole number between 1 and 256, not such a large number",
        ),
        (
            "[limits]\nbody-max = \"2GiB\"",
            "limits.body-max: must be a size between 1KiB and 1GiB with its unit, not \"2GiB\"",
        ),
        (
            "[websocket]\nbind-deadline = \"30\"",
            "websocket.bind-deadline: must be a duration between 1s and 10m with its unit, not \
             \"30\"",
        ),
        (
            "[rest-hook]\nretry-schedule = \"1s\"",
            "rest-hook.retry-schedule: must be a list such as [\"…\", \"…\"], not \"1s\"",
        ),
        (
            "[rest-hook]\nretry-schedule = [\"1s\", \"25h\"]",
            "rest-hook.retry-schedule: must be a duration between 0s and 1d with its unit, not \
             \"25h\"",
        ),
        (
            "[rest-hook]\nallow-addresses = [\"a\", \"::/0\", \"b\"]",
            "rest-hook.allow-addresses: must be an address or a prefix such as 10.1.0.0/16, not \
             \"a\"; must be an address or a prefix such as 10.1.0.0/16, not \"b\"",
        ),
        (
            "[rest-hook]\ndeny-addresses = [\"::ffff:10.0.0.0/104\"]",
            "rest-hook.deny-addresses: must be an address or a prefix such as 10.1.0.0/16, not \
             \"::ffff:10.0.0.0/104\"",
        ),
        (
            "[rest-hook]\nallow-addresses = [\"10.0.0.1/8\"]",
            "rest-hook.allow-addresses: must be an address or a prefix such as 10.1.0.0/16, not \
             \"10.0.0.1/8\"",
        ),
        (
            "[server]\ncors-origins = [\"https://example.org/app\"]",
            "server.cors-origins: must be \"*\" or an origin such as \"https://app.example.org\", not \
             \"https://example.org/app\"",
        ),
        (
            "[server]\nbase-url = \"ftp://example.org\"",
            "server.base-url: must be an http or https URL such as \"https://fhir.example.org\"",
        ),
        (
            "[server]\nbase-url = \"https://example.org/?a\"",
            "server.base-url: must be an http or https URL without \"?\" and \"#\"",
        ),
        (
            "[server]\nbase-url = \"https://marker@example.org\"",
            "server.base-url: must be an http or https URL without a user name or password",
        ),
        (
            "[search]\nindex = \"some\"",
            "search.index: must be \"all\", \"none\" or a list of codes",
        ),
        (
            "[search]\nindex = [\"a b\"]",
            "search.index: must be codes of search parameters such as \"status\", not \"a b\"",
        ),
        (
            "[log]\ntargets = [\"debug\"]",
            "log.targets: must be such as \"cresset_node=debug\", not \"debug\"",
        ),
        (
            "[log]\ntargets = [\"a=loud\"]",
            "log.targets: must be such as \"cresset_node=debug\", not \"a=loud\"",
        ),
        ("[log]\nlevel = { a = 1 }", "log.level: must be text in quotes, not a section"),
    ] {
        check(file, &format!("cresset.toml:2: {expect}"));
    }
}

#[test]
fn the_search_index_is_all_none_or_listed() {
    for (value, expect) in [
        ("\"all\"", SearchIndex::All),
        ("\"none\"", SearchIndex::None),
        ("[]", SearchIndex::Listed(Vec::new())),
        (
            "[\"url\", \"status\", \"url\"]",
            SearchIndex::Listed(vec!["status".into(), "url".into()]),
        ),
    ] {
        let loaded = load_with(&format!("[search]\nindex = {value}"), &[], flags()).unwrap();
        assert_eq!(loaded.search.index, expect, "{value}");
    }
}

#[test]
fn a_list_that_is_too_long_is_refused() {
    let file = format!("[rest-hook]\nretry-schedule = [{}]", "\"1s\",".repeat(65));
    check(&file, "cresset.toml:2: rest-hook.retry-schedule: must have at most 64 entries, not 65");
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,40}") {
        let _parsed = (parse_duration(&text), parse_size(&text));
        drop(parse_toml(&text, &|_| Origin::Default));
        let variables = ["REST_HOOK__ALLOW_ADDRESSES", "AUTH__CLIENT", "SEARCH__INDEX", text.as_str()]
            .map(|name| (format!("CRESSET__{name}"), text.clone()));
        drop(load(None, variables.into_iter(), flags()));
    }

    #[test]
    fn good_durations_and_sizes_come_back(number in 0_u64..1_000_000) {
        prop_assert_eq!(parse_duration(&format!("{number}s")), Some(Duration::from_secs(number)));
        prop_assert_eq!(parse_size(&format!("{number} KiB")), Some(number << 10));
    }
}

#[test]
fn a_signing_key_that_is_none_is_not_repeated() {
    for file in [
        "[delivery]\nsigning-keys = \"whsec_marker\"",
        "[delivery]\nsigning-keys = [\"marker\"]",
        "[delivery]\nsigning-keys = [7]",
    ] {
        let problems = load_with(file, &[], flags()).unwrap_err().to_string();
        assert!(problems.contains("delivery.signing-keys: must be"), "{problems}");
        assert!(!problems.contains("marker"), "{problems}");
    }
    let file = "[delivery]\nsigning-keys = [\"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"]";
    let config = load_with(file, &[], flags()).unwrap();
    assert_eq!(config.delivery.signing_keys.len(), 1);
    assert!(!format!("{config:?}").contains("C2FV"));
}

#[test]
fn mails_need_a_sender_and_secrets_need_tls() {
    check(
        "[email]\nrelay = \"mail.test\"",
        "cresset.toml:2: email.from: is required with email.relay: mails need a sender",
    );
    let file = |more: &str| format!("[email]\nrelay = \"mail.test\"\nfrom = \"n@a.test\"\n{more}");
    for (more, expected) in [
        ("security = \"none\"", "email.security: must be one of"),
        ("security = \"plain\"\nallow-full-resource = true", "email.allow-full-resource: needs"),
        (
            "security = \"plain\"\nusername = \"u\"\npassword = \"marker\"",
            "a password is not sent without TLS",
        ),
        ("username = \"u\"", "email.username: goes with exactly one of"),
        ("password = \"marker\"", "email.username: goes with exactly one of"),
        ("allow-domains = [\"a b\"]", "email.allow-domains: must be a domain"),
    ] {
        let problems = problems(&file(more), &[], flags()).join("; ");
        assert!(problems.contains(expected), "{more}: {problems}");
        assert!(!problems.contains("marker"), "{problems}");
    }
    let good = file("username = \"u\"\npassword = \"marker\"\ndeny-domains = [\"Bad.test\"]");
    let config = load_with(&good, &[], flags()).unwrap();
    assert_eq!(config.email.deny_domains, ["bad.test"]);
    assert!(!format!("{config:?}").contains("marker"));
}
