//! Topic files: those that come with Cresset, alone and in packs, and those of the configured
//! directory.
//!
//! Tests: `topics/tests.rs`; the conformance suite fires each topic of each pack.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use cresset_fhir::FhirVersion;
use cresset_node::TopicFile;

#[cfg(test)]
mod tests;

/// Topic files read at most.
const FILES_MAX: usize = 10_000;
/// Size of a topic file at most.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Declares the bundled topics: version and file below `topics`.
macro_rules! bundled {
    ($($version:expr, $file:literal;)*) => {
        &[$((
            $version,
            concat!("bundled/", $file),
            include_str!(concat!("../../../topics/", $file)),
        ),)*]
    };
}

/// A topic that comes with Cresset: its version if it is for one, its name, and the file.
type Bundled = (Option<FhirVersion>, &'static str, &'static str);

/// Declares a pack: its name and its files below `topics/packs/<name>`.
macro_rules! pack {
    ($pack:literal: $($version:ident $folder:literal $file:literal;)*) => {
        ($pack, &[$((
            Some(FhirVersion::$version),
            concat!("packs/", $pack, "/", $folder, "/", $file),
            include_str!(concat!("../../../topics/packs/", $pack, "/", $folder, "/", $file)),
        ),)*] as &[Bundled])
    };
}

/// Topics published by others, by pack; docs/topics.md tells of them.
pub(crate) const PACKS: &[(&str, &[Bundled])] = &[
    pack!["backport":
        R4 "r4" "admission.json";
        R4 "r4" "encounter-complete.json";
        R4B "r4b" "admission.json";
        R4B "r4b" "encounter-complete.json";
    ],
    pack!["davinci-pas": R4 "r4" "result-available.json";],
    pack!["gematik-isik": R4 "r4" "patient-merge.json";],
    pack!["hl7-r5":
        R4B "r4b" "admission.json";
        R5 "r5" "admission.json";
        R5 "r5" "example.json";
    ],
    pack!["us-core": R4 "r4" "patient-data-feed.json";],
];

/// The topics that come with Cresset and are loaded unless the configuration says otherwise.
const BUNDLED: &[Bundled] = bundled![
    None, "observation-created.json";
    None, "patient-changed.json";
    Some(FhirVersion::R4), "r4/encounter-end.json";
    Some(FhirVersion::R4), "r4/encounter-start.json";
    Some(FhirVersion::R4B), "r4b/encounter-end.json";
    Some(FhirVersion::R4B), "r4b/encounter-start.json";
    Some(FhirVersion::R5), "r5/encounter-end.json";
    Some(FhirVersion::R5), "r5/encounter-start.json";
];

/// The topics that come with Cresset.
pub(crate) fn bundled() -> Vec<TopicFile> {
    files(BUNDLED).collect()
}

/// The topics of a pack, by its index in [`PACKS`].
pub(crate) fn pack(index: usize) -> Vec<TopicFile> {
    PACKS.get(index).into_iter().flat_map(|(_, topics)| files(topics)).collect()
}

fn files(topics: &[Bundled]) -> impl Iterator<Item = TopicFile> {
    topics.iter().map(|(version, name, text)| TopicFile {
        name: (*name).to_owned(),
        bytes: text.as_bytes().into(),
        version: *version,
    })
}

/// The `*.json` files of a directory, for all bases, and those of its subdirectories `r4`, `r4b`
/// and `r5`, for one base each; in the order of their names.
pub(crate) fn read(directory: &Path) -> anyhow::Result<Vec<TopicFile>> {
    let mut files = read_directory(directory, None)?;
    for version in FhirVersion::ALL {
        let subdirectory = directory.join(version.path());
        if subdirectory.is_dir() {
            files.extend(read_directory(&subdirectory, Some(version))?);
        }
    }
    if files.len() > FILES_MAX {
        bail!("{} holds more than {FILES_MAX} topic files", directory.display());
    }
    Ok(files)
}

fn read_directory(
    directory: &Path,
    version: Option<FhirVersion>,
) -> anyhow::Result<Vec<TopicFile>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(directory).and_then(Iterator::collect);
    let entries =
        entries.with_context(|| format!("topics cannot be read from {}", directory.display()))?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|one| one == "json") && path.is_file());
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.display().to_string();
            Ok(TopicFile { name, bytes: read_file(path)?.into(), version })
        })
        .collect()
}

/// Reads a file of bounded size.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = || {
        let size = fs::metadata(path)?.len();
        if size > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        fs::read(path)
    };
    read().with_context(|| format!("{} cannot be read", path.display()))
}
