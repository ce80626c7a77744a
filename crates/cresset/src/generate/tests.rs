use std::path::Path;

use clap_complete::Shell;

use super::*;

#[test]
fn the_reference_in_the_docs_is_that_of_the_command_line() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let made = reference(Cli::command());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "docs/cli.md is old: UPDATE_GOLDEN=1 writes it anew");
}

/// Commands that print a file or nothing.
const WITHOUT_JSON: [&str; 6] = [
    "cresset serve",
    "cresset config default",
    "cresset export",
    "cresset generate completions",
    "cresset generate man",
    "cresset generate reference",
];

#[test]
fn every_command_that_tells_something_tells_it_as_json_if_asked() {
    let mut command = Cli::command();
    command.build();
    let leaves = leaves(&command, "");
    let has_json =
        |command: &Command| command.get_arguments().any(|one| one.get_long() == Some("json"));
    let without = leaves.iter().filter(|(_, command)| !has_json(command));
    assert_eq!(without.map(|(path, _)| path.as_str()).collect::<Vec<_>>(), WITHOUT_JSON);
}

#[test]
fn the_manual_page_and_the_completions_know_every_command() {
    let mut page = Vec::new();
    man(&Cli::command(), &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    for path in ["CRESSET TAIL", "CRESSET SUBSCRIPTION RESEND", "CRESSET TOKEN HASH"] {
        assert!(page.contains(&format!(".SH \"{path}\"")), "{path}");
    }
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "cresset", &mut text);
        assert!(String::from_utf8(text).unwrap().contains("receive"), "{shell}");
    }
}
