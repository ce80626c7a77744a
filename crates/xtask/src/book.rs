//! `cargo xtask book`: the documents as a book, in `target/book`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::tidy::documents::{links, resolved};
use crate::{process, tools, workspace};

/// What makes it.
const MDBOOK_VERSION: &str = "0.5.4";

/// Installs mdbook if it is missing, and makes the book.
pub(crate) fn make() -> Result<()> {
    tools::cargo_program("mdbook", MDBOOK_VERSION, &["mdbook", "--version"])?;
    let target = workspace::root().join("target");
    let (pages, book) = (target.join("book-pages"), target.join("book"));
    write_pages(&pages)?;
    let [pages, book] = [pages, book].map(|path| path.display().to_string());
    process::run(&["mdbook", "build", &pages, "--dest-dir", &book])
}

/// Copies the documents, as the book has them, into a folder.
fn write_pages(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let documents = workspace::root().join("docs");
    for path in workspace::files(&documents)? {
        let copy = folder.join(path.strip_prefix(&documents)?);
        fs::create_dir_all(copy.parent().context("a file without a folder")?)?;
        if path.extension().is_some_and(|ending| ending == "md") {
            let page = workspace::relative(&path);
            fs::write(copy, in_the_book(&page, &workspace::read(&page)?))?;
        } else {
            fs::copy(&path, copy)?;
        }
    }
    Ok(())
}

/// A page without links to what is beside `docs`, which the book does not have: its path is told.
fn in_the_book(page: &str, text: &str) -> String {
    let mut out = text.to_owned();
    for link in links(text).filter(|link| !link.contains("://")) {
        let target = resolved(page, link);
        if Path::new(&target).starts_with("docs") {
            continue;
        }
        let end = format!("]({link})");
        let Some(middle) = out.find(&end) else { continue };
        let Some(start) = out[..middle].rfind('[') else { continue };
        out.replace_range(start..middle + end.len(), &format!("`{target}`"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_what_the_book_does_not_have_become_paths() {
        for (text, expect) in [
            ("a [b](../c.md#d) [e](f.md)", "a [b](../c.md#d) [e](f.md)"),
            (
                "- [Decisions]() [h](#i) [j](https://k.example)",
                "- [Decisions]() [h](#i) [j](https://k.example)",
            ),
            ("see [`values`](../../deploy/values.yaml).", "see `deploy/values.yaml`."),
            ("[a](../../b) and [a](../../b), [c](d.md)", "`b` and `b`, [c](d.md)"),
        ] {
            assert_eq!(in_the_book("docs/deploy/page.md", text), expect);
        }
    }

    #[test]
    fn no_page_of_the_book_leads_out_of_it() {
        let folder = workspace::root().join("docs");
        let mut told = 0;
        for path in workspace::files(&folder).unwrap() {
            let page = workspace::relative(&path);
            if !page.ends_with(".md") {
                continue;
            }
            let text = workspace::read(&page).unwrap();
            let made = in_the_book(&page, &text);
            told += usize::from(made != text);
            let mut out = links(&made).filter(|link| !link.contains("://"));
            let left = out.find(|link| !Path::new(&resolved(&page, link)).starts_with("docs"));
            assert_eq!(left, None, "{page}");
        }
        assert!(told > 5, "{told} pages name files of the repository");
    }
}
