//! Layers, keys and what is said when they are wrong.

mod auth;
mod brokers;
mod default;
mod tls;
mod values;

use std::path::PathBuf;

use super::{Config, Flags, Problems, load};

/// A file that only this test sees; gone when dropped.
struct File(tempfile::TempDir);

impl File {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("cresset.toml"), text).unwrap();
        Self(directory)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("cresset.toml")
    }
}

fn load_with(file: &str, variables: &[(&str, &str)], flags: Flags) -> Result<Config, Problems> {
    let file = File::new(file);
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(Some(&file.path()), variables, flags)
}

/// The problems, one in each line, without the directory of the file.
fn problems(file: &str, variables: &[(&str, &str)], flags: Flags) -> Vec<String> {
    let problems = load_with(file, variables, flags).unwrap_err();
    let lines: Vec<String> = problems.to_string().lines().map(without_directory).collect();
    assert_eq!(lines.len(), problems.len());
    lines
}

fn without_directory(line: &str) -> String {
    line.find("cresset.toml").map_or(line, |at| &line[at..]).to_owned()
}

/// The file's only problem.
fn check(file: &str, expect: &str) {
    assert_eq!(problems(file, &[], Flags::default()), [expect], "{file}");
}

fn flags() -> Flags {
    Flags::default()
}

#[test]
fn each_layer_overrides_the_one_before() {
    let file =
        "[server]\nlisten = \"127.0.0.1:1001\"\n[limits]\nbody-max = \"1MiB\"\nreads-max = 2\n";
    let loaded = load_with(file, &[], flags()).unwrap();
    assert_eq!(loaded.server.listen.port(), 1001);

    let variables =
        [("CRESSET__SERVER__LISTEN", "127.0.0.1:1002"), ("CRESSET__LIMITS__READS_MAX", "3")];
    let loaded = load_with(file, &variables, flags()).unwrap();
    assert_eq!(loaded.server.listen.port(), 1002);

    let given = Flags { listen: Some("127.0.0.1:1003".to_owned()), ..flags() };
    let loaded = load_with(file, &variables, given).unwrap();
    assert_eq!(loaded.server.listen.port(), 1003);
    assert_eq!(loaded.limits.reads_max.get(), 3);
    assert_eq!(loaded.limits.body_max.get(), 1 << 20);
    assert_eq!(loaded.limits.bundle_entries_max.get(), 10_000);
}

#[test]
fn every_flag_lands_on_its_key() {
    let given = Flags {
        listen: Some("[::1]:0".to_owned()),
        base_url: Some("https://fhir.example.org/cresset/".to_owned()),
        data: Some("/var/lib/cresset".to_owned()),
        topics: Some("my-topics".to_owned()),
        allow_local_endpoints: true,
    };
    let loaded = load_with("", &[], given).unwrap();
    assert_eq!(loaded.server.listen.to_string(), "[::1]:0");
    assert_eq!(loaded.server.base_url(loaded.server.listen), "https://fhir.example.org/cresset");
    assert_eq!(loaded.store.directory, PathBuf::from("/var/lib/cresset"));
    assert_eq!(loaded.topics.directory, Some(PathBuf::from("my-topics")));
    assert!(loaded.rest_hook.allow_local_endpoints);
    assert!(!load_with("", &[], flags()).unwrap().rest_hook.allow_local_endpoints);
}

#[test]
fn without_a_base_url_it_is_the_address_bound() {
    let loaded = load_with("[server]\nlisten = \"127.0.0.1:0\"\n", &[], flags()).unwrap();
    let bound = "127.0.0.1:4711".parse().unwrap();
    assert_eq!(loaded.server.base_url(bound), "http://127.0.0.1:4711");
}

#[test]
fn variables_take_what_their_key_takes() {
    let loaded = load_with(
        "",
        &[
            ("CRESSET__STORE__DIRECTORY", "123"),
            ("CRESSET__TOPICS__BUNDLED", "false"),
            ("CRESSET__LIMITS__BODY_MAX", "2 MiB"),
            ("CRESSET__LIMITS__SOCKETS_MAX", "50_000"),
            ("CRESSET__REST_HOOK__RETRY_SCHEDULE", "1s, 2s"),
            ("CRESSET__REST_HOOK__HANDSHAKE_RETRY_SCHEDULE", "[\"3s\"]"),
            ("CRESSET__REST_HOOK__ALLOW_ADDRESSES", "10.0.0.0/8,fd00::/8"),
            ("CRESSET__SEARCH__INDEX", "all"),
            ("CRESSET__LOG__TARGETS", "cresset_node=debug,hyper=off"),
            ("CRESSET_CONFIG", "not of this kind"),
            ("PATH", "/bin"),
        ],
        flags(),
    )
    .unwrap();
    let seconds = |list: &[std::time::Duration]| -> Vec<u64> {
        list.iter().map(std::time::Duration::as_secs).collect()
    };
    assert_eq!(loaded.store.directory, PathBuf::from("123"));
    assert!(!loaded.topics.bundled);
    assert_eq!(loaded.limits.body_max.get(), 2 << 20);
    assert_eq!(loaded.limits.sockets_max.get(), 50_000);
    assert_eq!(seconds(&loaded.rest_hook.retry_schedule), [1, 2]);
    assert_eq!(seconds(&loaded.rest_hook.handshake_retry_schedule), [3]);
    assert_eq!(loaded.rest_hook.allow_addresses.len(), 2);
    assert_eq!(loaded.search.index, super::SearchIndex::All);
    assert_eq!(loaded.log.targets.len(), 2);
}

#[test]
fn all_problems_of_all_layers_come_at_once_with_their_place() {
    let file = "\
[server]
listen = \"nowhere\"
base_url = \"https://example.org\"

[limits]
body-max = 10
bundle-entries-max = 0
";
    let variables = [
        ("CRESSET__LOG__LEVEL", "loud"),
        ("CRESSET__STORE__FOLDER", "x"),
        ("CRESSET__SERVER", "x"),
    ];
    let given = Flags { base_url: Some("example".to_owned()), ..flags() };
    assert_eq!(
        problems(file, &variables, given),
        [
            "cresset.toml:2: server.listen: must be an address and a port such as \
             \"127.0.0.1:8080\", not \"nowhere\"",
            "cresset.toml:3: server.base_url: unknown key, did you mean server.base-url?",
            "cresset.toml:6: limits.body-max: must be text in quotes, with a unit if it has one, \
             not 10",
            "cresset.toml:7: limits.bundle-entries-max: must be a whole number between 1 and \
             20000, not 0",
            "CRESSET__LOG__LEVEL: log.level: must be one of \"off\", \"error\", \"warn\", \
             \"info\", \"debug\", \"trace\", not \"loud\"",
            "CRESSET__SERVER: server: is a section, not a key",
            "CRESSET__STORE__FOLDER: store.folder: unknown key",
            "--base-url: server.base-url: must be an http or https URL such as \
             \"https://fhir.example.org\"",
        ]
    );
}

#[test]
fn unknown_keys_come_with_the_key_that_may_be_meant() {
    for (file, expect) in [
        (
            "[server]\nlisten-on = \"a\"",
            "2: server.listen-on: unknown key, did you mean server.listen?",
        ),
        ("[servr]\nlisten = \"a\"", "2: servr.listen: unknown key, did you mean server.listen?"),
        (
            "[server]\nbody-max = 1",
            "2: server.body-max: unknown key, did you mean limits.body-max?",
        ),
        ("body-max = 1", "1: body-max: unknown key, did you mean limits.body-max?"),
        ("[server]\nBody_Max = 1", "2: server.Body_Max: unknown key"),
        ("[nothing]", "1: nothing: unknown key"),
        ("[server.tls]\ncert = 1", "2: server.tls.cert: unknown key"),
        ("server = 1", "1: server: is a section, not a key"),
    ] {
        check(file, &format!("cresset.toml:{expect}"));
    }
}

#[test]
fn empty_sections_are_fine() {
    assert!(load_with("[server]\n[limits]\n", &[], flags()).is_ok());
}

#[test]
fn errors_of_form_come_all_with_their_line_and_quote_nothing() {
    let found = problems("[server]\nlisten = marker\n\nstore = [\n", &[], flags());
    assert!(found.len() >= 2, "{found:?}");
    assert!(found[0].starts_with("cresset.toml:2: "), "{found:?}");
    assert!(!found.concat().contains("marker"), "{found:?}");
    let found = problems("a = 1\na = 2\n", &[], flags());
    assert!(
        found.iter().any(|line| line.starts_with("cresset.toml:2: duplicate key")),
        "{found:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_beside_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let variables = [("CRESSET__LOG__LEVEL".to_owned(), "loud".to_owned())];
    let path = directory.path().join("cresset.toml");
    let found = load(Some(&path), variables.into_iter(), flags()).unwrap_err().to_string();
    let lines: Vec<_> = found.lines().map(without_directory).collect();
    assert!(lines[0].starts_with("cresset.toml: cannot be read: "), "{found}");
    assert!(lines[1].starts_with("CRESSET__LOG__LEVEL: log.level: "), "{found}");

    std::fs::write(&path, b"\xff").unwrap();
    let found = load(Some(&path), std::iter::empty(), flags()).unwrap_err().to_string();
    assert_eq!(without_directory(&found), "cresset.toml: is not UTF-8");
    std::fs::write(&path, vec![b'#'; super::tree::FILE_BYTES_MAX + 1]).unwrap();
    let found = load(Some(&path), std::iter::empty(), flags()).unwrap_err().to_string();
    assert!(without_directory(&found).starts_with("cresset.toml: is larger than"), "{found}");
}

#[test]
fn keys_that_contradict_each_other_are_reported_where_they_were_set() {
    for (file, expect) in [
        (
            "[limits]\nsearch-count-default = 20\nsearch-count-max = 10",
            "3: limits.search-count-default: must not be above limits.search-count-max",
        ),
        (
            "[limits]\nsockets-max = 10",
            "2: limits.sockets-unbound-max: must not be above limits.sockets-max",
        ),
        (
            "[subscriptions]\ntimeout-max = \"10s\"",
            "2: subscriptions.timeout-default: must not be above subscriptions.timeout-max",
        ),
        (
            "[subscriptions]\nmax-count-max = 10",
            "2: subscriptions.max-count-default: must not be above subscriptions.max-count-max",
        ),
        (
            "[console]\nuser = \"operator\"",
            "2: console.user: console.user and console.password-sha256 go together",
        ),
    ] {
        check(file, &format!("cresset.toml:{expect}"));
    }
}

#[test]
fn the_console_is_served_to_this_machine_alone_unless_asked_for() {
    for (server, expect) in [
        ("", true),
        ("listen = \"[::1]:80\"", true),
        ("base-url = \"http://localhost:8080\"", true),
        ("base-url = \"https://127.0.0.1/fhir\"", true),
        ("base-url = \"https://fhir.example.org\"", false),
    ] {
        let loaded = load_with(&format!("[server]\n{server}"), &[], flags()).unwrap();
        assert_eq!(loaded.server.is_local(), expect, "{server}");
    }
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let elsewhere = format!(
        "[server]\nlisten = \"0.0.0.0:80\"\nbase-url = \"http://127.0.0.1\"\n[auth]\nmode = \"tokens\"\n\
         [[auth.client]]\nname = \"a\"\ntoken-sha256 = \"{hash}\"\nrights = [\"read\"]\n"
    );
    assert!(!load_with(&elsewhere, &[], flags()).unwrap().server.is_local());
    let shared = format!("{elsewhere}[console]\nuser = \"a\"\npassword-sha256 = \"{hash}\"\n");
    check(
        &shared,
        "cresset.toml:11: console.user: is also the name of a client: what both do could not be told \
         apart",
    );
}

#[test]
fn a_contradiction_with_a_bad_value_is_not_reported() {
    let file = "[limits]\nsearch-count-default = \"x\"\nsearch-count-max = 10";
    check(
        file,
        "cresset.toml:2: limits.search-count-default: must be a whole number between 1 and 1000, \
         not \"x\"",
    );
}
