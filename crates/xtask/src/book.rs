//! `cargo xtask book`: the documents as a book, in `target/book`.

use anyhow::Result;

use crate::{process, tools};

/// What makes it.
const MDBOOK_VERSION: &str = "0.5.4";

/// Installs mdbook if it is missing, and makes the book.
pub(crate) fn make() -> Result<()> {
    tools::cargo_program("mdbook", MDBOOK_VERSION, &["mdbook", "--version"])?;
    process::run(&["mdbook", "build", "docs"])
}
