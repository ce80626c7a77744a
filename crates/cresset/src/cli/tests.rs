//! The command line and tokens.

use clap::{CommandFactory, Parser};

use super::token;
use super::{Cli, Command};
use crate::config::Flags;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn serve_passes_its_flags_on_as_text() {
    let line = "cresset serve --config a.toml --listen x:1 --data d --topics t --base-url u \
                --allow-local-endpoints --demo";
    let Command::Serve(serve) = parse(line).unwrap().command else { panic!() };
    assert_eq!(serve.config.as_deref(), Some(std::path::Path::new("a.toml")));
    assert!(serve.demo);
    let expect = Flags {
        listen: Some("x:1".to_owned()),
        base_url: Some("u".to_owned()),
        data: Some("d".to_owned()),
        topics: Some("t".to_owned()),
        allow_local_endpoints: true,
    };
    assert_eq!(serve.flags(), expect);
}

#[test]
fn all_subcommands_are_there() {
    for line in [
        "cresset serve",
        "cresset config default",
        "cresset config check --config a.toml",
        "cresset token hash",
        "cresset token hash --generate",
        "cresset topic check a.json b.json",
        "cresset topic check --fhir-version r4b,r5 --json --deny-warnings a.json",
        "cresset explain --server http://x --subscription s --focus Encounter/1",
        "cresset explain --server http://x --fhir-version r5 --topic t --changes 100 --json",
        "cresset explain --server http://x --subscription s --previous a --current b",
        "cresset explain --server http://x --subscription s --current b --token-file c",
        "cresset tail --server http://x --topic http://t --filter A?b=c --filter d=e --content empty --json",
        "cresset tail --server http://x --subscription s --after 7 --count 1 --tries 3",
        "cresset receive --listen 127.0.0.1:0 --fail 10% --slow 5s --key-file k --count 2",
        "cresset check http://x --write --topic http://t --json",
        "cresset subscription list --server http://x --status active",
        "cresset subscription resend --server http://x s --since 1 --until 2",
        "cresset subscription off --server http://x s --json",
        "cresset export --server http://x --output f",
        "cresset import --server http://x f --off",
        "cresset generate completions bash",
        "cresset generate man",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
    for line in [
        "cresset",
        "cresset serve --port 1",
        "cresset config",
        "cresset tail --server http://x",
        "cresset tail --server http://x --topic http://t --filter nonsense",
        "cresset tail --server http://x --topic http://t --after 7",
        "cresset tail --server http://x --topic http://t --content all",
        "cresset receive --listen 127.0.0.1:0 --fail 110%",
        "cresset receive --listen 127.0.0.1:0 --fail-status 200",
        "cresset receive --listen 127.0.0.1:0 --slow 5",
        "cresset check http://x --topic http://t",
        "cresset subscription list --server http://x --status gone",
        "cresset topic check",
        "cresset topic check --fhir-version r6 a.json",
        "cresset explain --server http://x --subscription s",
        "cresset explain --server http://x --focus Encounter/1",
        "cresset explain --server http://x --subscription s --topic t --focus Encounter/1",
        "cresset explain --server http://x --subscription s --changes 1 --focus Encounter/1",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_hash_is_that_of_sha_256() {
    assert_eq!(
        token::hash("a-token-of-some-length"),
        "4f0d205b316ab19696f52d3dc08107a4186c12b117a2a23581353b462001edee"
    );
}

#[test]
fn a_new_token_is_one_that_can_be_read_and_unlike_the_last() {
    let token = token::generate().unwrap();
    assert_eq!(token.len(), 64);
    assert_ne!(token, token::generate().unwrap());
    assert_eq!(token::read(token.as_bytes()).unwrap(), token);
}

#[test]
fn tokens_are_read_without_their_line_break_and_checked() {
    let good = "abcdefghij-._~+/0123==";
    for text in [good.to_owned(), format!("{good}\n"), format!("{good}\r\n"), "a".repeat(1024)] {
        assert!(token::read(text.as_bytes()).is_ok(), "{text:?}");
    }
    for text in [
        String::new(),
        "\n".to_owned(),
        "short".to_owned(),
        "=".repeat(30),
        format!(" {good}"),
        format!("{good}\n{good}"),
        "a".repeat(1025),
        "a".repeat(100_000),
        "abcdefghijklmnopqrstuvwxyz\u{e9}".to_owned(),
    ] {
        assert!(token::read(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(token::read(&b"\xff\xff\xff"[..]).is_err());
}
