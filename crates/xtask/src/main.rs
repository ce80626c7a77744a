//! The project's own chores: `cargo xtask <chore>`.

mod definitions;
mod workspace;

use clap::Parser;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Chore {
    /// Downloads HL7's packages and writes crates/definitions/data anew.
    Definitions,
}

fn main() -> anyhow::Result<()> {
    match Chore::parse() {
        Chore::Definitions => definitions::generate(),
    }
}
