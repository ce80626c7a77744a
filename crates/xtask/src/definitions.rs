//! Writes `crates/definitions/data/{r4,r4b,r5}.txt` from HL7's official packages.
//!
//! The packages come from npm (CC0-1.0) and are taken only with the pinned hash, so the tables are
//! the same wherever and whenever they are made.

mod package;
mod table;

use anyhow::{Context as _, Result};

use crate::workspace;

/// One FHIR version's source.
pub(crate) struct Source {
    /// File name of the table, without its ending.
    table: &'static str,
    /// How people call the version.
    version: &'static str,
    /// The npm package, with version.
    package: &'static str,
    /// `dist.integrity` of the package: sha512, base64.
    sha512: &'static str,
    /// How many search parameters the version officially has; a guard against examples.
    search_parameters: usize,
}

/// No `hl7.fhir.r4.core` is served on npm; the examples package carries all of R4's definitions.
const SOURCES: [Source; 3] = [
    Source {
        table: "r4",
        version: "R4 (4.0.1)",
        package: "hl7.fhir.r4.examples@4.0.1",
        sha512: "DXBdIZOeQaSKIgCU7w6HOC7sw/6BzylmipLkBW4f//pT+Bc94x+8LImwTdvaNThPJoOzpBzvxAzNqjeu3X/zLw==",
        search_parameters: 1375,
    },
    Source {
        table: "r4b",
        version: "R4B (4.3.0)",
        package: "hl7.fhir.r4b.core@4.3.0",
        sha512: "2Xa3QB5PQxNchsA8chSq3OLMHJf55iEc44bZCFaRarX6Leo8qjeTXSq4RNSMpvKtfG4u7CkWpEmlQtb0rwLWFw==",
        search_parameters: 1414,
    },
    Source {
        table: "r5",
        version: "R5 (5.0.0)",
        package: "hl7.fhir.r5.core@5.0.0",
        sha512: "0TvJB1KKtokn/P2mRwcqEY8v8RN8IE/pQjvtlsPaJdYaDfYx4UBhuY4afAGeQjW01p9SNYPphxAFFkEsS6P05A==",
        search_parameters: 1239,
    },
];

/// Downloads what is missing and writes all tables.
pub(crate) fn generate() -> Result<()> {
    let data = workspace::root().join("crates/definitions/data");
    for source in SOURCES {
        let folder = package::unpack(&source)?;
        let text = table::render(&source, &folder)
            .with_context(|| format!("making the table from {}", folder.display()))?;
        let path = data.join(format!("{}.txt", source.table));
        std::fs::write(&path, &text).with_context(|| format!("writing {}", path.display()))?;
        eprintln!("{}: {} lines, {} bytes", path.display(), text.lines().count(), text.len());
    }
    Ok(())
}
