//! The commands and programs in the documents, run as they stand: block after block of a page, in a folder that is
//! empty at first.
//!
//! What stands behind the language of a block says what is done with it:
//!
//! - `sh` alone is run to its end, and has to end with 0.
//! - `sh` that has cargo run an example of the client library runs it as it was built with the tests.
//! - `sh stays="TEXT"` is a program that goes on: it has to write the text, and runs beside all further blocks.
//! - `file=NAME` is written to a file of that name, for the blocks behind it.
//! - `of=PATH` is part of that file of the repository.
//! - `not-run="REASON"` is for reading; the reasons are listed here.
//!
//! Addresses are given by the system: where a page says `127.0.0.1:8080`, its commands get that of a server that runs, and
//! where a program that stays is to listen, a free one.

mod blocks;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blocks::{Block, blocks};
use run::Page;

/// Why blocks are not run.
const REASONS: [&str; 7] = [
    "an excerpt",
    "builds for minutes",
    "needs a cluster",
    "needs a container engine",
    "needs .NET",
    "needs root",
    "needs the NATS command line",
];
/// Languages of what could be run.
const PROGRAMS: [&str; 5] = ["csharp", "js", "python", "rust", "sh"];
/// Languages of what is read by people, or by programs.
const DATA: [&str; 8] = ["http", "json", "nginx", "no_run", "text", "toml", "xml", "yaml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The documents: pages with their blocks, by path.
fn pages() -> BTreeMap<String, Vec<Block>> {
    let root = root();
    let mut files: Vec<PathBuf> =
        ["README.md", "crates/client/README.md", "clients/typescript/README.md"]
            .map(|path| root.join(path))
            .into();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of documents") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a document");
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        (name, blocks(&text))
    };
    files.into_iter().map(read).collect()
}

#[test]
fn every_block_says_what_it_is_and_why_it_is_not_run() {
    let mut not_run = BTreeMap::<&str, usize>::new();
    for (page, blocks) in &pages() {
        for block in blocks {
            let at = format!("{page}:{}", block.line);
            let is_program = PROGRAMS.contains(&block.language.as_str());
            assert!(
                is_program || DATA.contains(&block.language.as_str()),
                "{at}: a block of {:?}",
                block.language
            );
            if let Some(path) = block.attribute("of") {
                let whole = std::fs::read_to_string(root().join(path)).expect("a file");
                assert!(whole.contains(block.text.trim_end()), "{at} is not in {path}");
            } else if let Some(reason) = block.attribute("not-run") {
                let known = REASONS.iter().find(|one| **one == reason);
                *not_run.entry(known.unwrap_or_else(|| panic!("{at}: {reason:?}"))).or_default() +=
                    1;
            } else if is_program && block.language != "sh" {
                assert!(
                    block.attribute("file").is_some(),
                    "{at}: it is not run, and does not say why"
                );
            }
        }
    }
    println!("not run: {not_run:?}");
    let unused: Vec<_> = REASONS.iter().filter(|reason| !not_run.contains_key(**reason)).collect();
    assert!(unused.is_empty(), "no block is left with {unused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_documents_does_what_it_says() {
    let mut count = 0;
    for (name, blocks) in pages() {
        if blocks.iter().any(Block::is_run) {
            let mut page = Page::open(&name, &blocks, &root()).await;
            for block in &blocks {
                count += usize::from(block.is_run());
                page.block(block).await;
            }
            page.close();
        }
    }
    println!("{count} blocks were run");
    assert!(count >= 20, "{count} blocks were run");
}
