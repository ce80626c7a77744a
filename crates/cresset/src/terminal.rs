//! Colours where there is a terminal, and how far long work has come.

use std::io::{self, IsTerminal, Write};

/// Characters of a progress bar.
const BAR: usize = 30;

/// Colours of one stream, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self(io::stdout().is_terminal() && wanted())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self(io::stderr().is_terminal() && wanted())
    }

    /// None, whatever the stream.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self(false)
    }

    /// Colours, whatever the stream.
    #[cfg(test)]
    pub(crate) const fn colored() -> Self {
        Self(true)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    pub(crate) fn odd(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, color: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A line to standard error, where people look while programs read standard output.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell if that fails.
    let _shown = writeln!(io::stderr(), "{text}");
}

/// How far work has come; shown on a terminal only.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    /// Begins work of so many steps.
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        let progress = Self { what, total, done: 0, shown: io::stderr().is_terminal() };
        progress.show();
        progress
    }

    /// One step is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        self.show();
    }

    fn show(&self) {
        if self.shown {
            let _shown = write!(io::stderr(), "\r{}", self.line());
        }
    }

    fn line(&self) -> String {
        let filled = (self.done * BAR).checked_div(self.total).unwrap_or(BAR).min(BAR);
        let (full, rest) = ("#".repeat(filled), ".".repeat(BAR - filled));
        format!("{} [{full}{rest}] {}/{}", self.what, self.done, self.total)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _shown = writeln!(io::stderr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_with_what_is_done_and_is_full_without_work() {
        let mut progress = Progress { what: "topics", total: 3, done: 0, shown: false };
        assert_eq!(progress.line(), format!("topics [{}] 0/3", ".".repeat(30)));
        progress.step();
        assert!(progress.line().starts_with("topics [##########...."));
        let none = Progress { what: "topics", total: 0, done: 0, shown: false };
        assert_eq!(none.line(), format!("topics [{}] 0/0", "#".repeat(30)));
    }
}
