//! Topic files: those that come with Cresset, and those of the configured directory.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use cresset_fhir::FhirVersion;
use cresset_node::TopicFile;

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

/// The topics that come with Cresset.
const BUNDLED: &[(Option<FhirVersion>, &str, &str)] = bundled![
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
    BUNDLED
        .iter()
        .map(|(version, name, text)| TopicFile {
            name: (*name).to_owned(),
            bytes: text.as_bytes().into(),
            version: *version,
        })
        .collect()
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
    let read = |path: &Path| {
        let size = fs::metadata(path)?.len();
        if size > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        fs::read(path)
    };
    paths
        .iter()
        .map(|path| {
            let name = path.display().to_string();
            let bytes = read(path).with_context(|| format!("{name} cannot be read"))?;
            Ok(TopicFile { name, bytes: bytes.into(), version })
        })
        .collect()
}
