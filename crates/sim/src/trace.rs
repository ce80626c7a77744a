//! What happened, step by step.

use std::collections::VecDeque;

/// Steps that a failure shows.
const KEPT_MAX: usize = 50;

/// The last steps and a hash of all; the whole text where it is asked for.
#[derive(Debug)]
pub struct Trace {
    last: VecDeque<String>,
    hash: u64,
    whole: Option<String>,
    print: bool,
}

impl Trace {
    /// A trace that keeps only the last steps.
    pub fn short() -> Self {
        Self { last: VecDeque::new(), hash: 0xcbf2_9ce4_8422_2325, whole: None, print: false }
    }

    /// A trace that keeps everything.
    pub fn whole() -> Self {
        Self { whole: Some(String::new()), ..Self::short() }
    }

    /// A trace that prints each line on standard error.
    pub fn printed() -> Self {
        Self { print: true, ..Self::short() }
    }

    pub(crate) fn note(&mut self, line: String) {
        for byte in line.bytes().chain(*b"\n") {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.print {
            eprintln!("{line}");
        }
        if let Some(whole) = &mut self.whole {
            whole.push_str(&line);
            whole.push('\n');
        }
        if self.last.len() == KEPT_MAX {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The last steps, one line each.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    /// A hash of all lines.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// All lines, of a trace that keeps them.
    pub fn text(&self) -> Option<&str> {
        self.whole.as_deref()
    }
}
