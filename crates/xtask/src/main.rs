//! The project's own chores: `cargo xtask <chore>`.
//!
//! `cargo xtask test` is the one command that CI runs and that tells whether a tree is good. The
//! chores may know every file of the workspace; nothing of the product depends on them. Their tests
//! lie beside the modules.

mod bench;
mod book;
mod clients;
mod conformance;
mod counts;
mod definitions;
mod mutants;
mod package;
mod process;
mod python;
mod suite;
mod tidy;
mod tools;
mod validators;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::mutants::Which;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Chore {
    /// Builds for speed and runs a benchmark, which prints JSON.
    Bench {
        /// Which one, such as `main-path`.
        name: String,
        /// What it is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Makes a book of the documents, in target/book.
    Book,
    /// Writes docs/conformance.md from the requirements and the tests that prove them.
    Conformance {
        /// Only tell whether the page is as it would be written.
        #[arg(long)]
        check: bool,
    },
    /// Counts the instructions that matching takes, and compares them with those committed.
    Counts {
        /// Commit them anew.
        #[arg(long)]
        renew: bool,
    },
    /// Downloads HL7's packages and writes crates/definitions/data anew.
    Definitions,
    /// Plants the bugs of sim/mutants, and sees that the simulation catches each.
    Mutants {
        /// Only those whose names hold one of these.
        names: Vec<String>,
        /// Only a few, others with each commit.
        #[arg(long)]
        sample: bool,
    },
    /// Makes what is handed out, in target/deploy: the Debian package and the bill of materials.
    Package {
        /// Only pack and try the binary of the tests, as CI does.
        #[arg(long)]
        check: bool,
    },
    /// Installs what is missing and runs every check and test.
    Test,
    /// Checks the rules of the house that no compiler knows.
    Tidy,
    /// Has validators of others look at what the server said in the last `cargo xtask test`.
    Validate,
}

fn main() -> ExitCode {
    match run(Chore::parse()) {
        Ok(code) => code,
        Err(error) => {
            // One line with all causes; a backtrace of a chore tells nobody anything.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<ExitCode> {
    match chore {
        Chore::Bench { name, args } => return bench::run(&name, &args),
        Chore::Book => book::make()?,
        Chore::Conformance { check: true } => conformance::check()?,
        Chore::Conformance { check: false } => conformance::write()?,
        Chore::Counts { renew } => counts::run(renew)?,
        Chore::Definitions => definitions::generate()?,
        Chore::Mutants { names, .. } if !names.is_empty() => mutants::run(Which::Named(&names))?,
        Chore::Mutants { sample: true, .. } => mutants::run(Which::Sample)?,
        Chore::Mutants { .. } => mutants::run(Which::All)?,
        Chore::Package { check: true } => package::check()?,
        Chore::Package { check: false } => package::run()?,
        Chore::Test => return suite::run(),
        Chore::Tidy => tidy::run()?,
        Chore::Validate => validators::run()?,
    }
    Ok(ExitCode::SUCCESS)
}
