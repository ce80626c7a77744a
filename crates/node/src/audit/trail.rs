//! The files of one version's trail: one AuditEvent on each line, put aside when a file is full.
//!
//! `r5.ndjson` is written to; `r5-20260131T120000.000Z.ndjson` was put aside at that time. What is
//! written is on the disk when the call returns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::parse_instant;
use jiff::Timestamp;

use super::{AUDIT_ENTRIES_MAX, AuditConfig, AuditQuery};

/// Bytes of files that one query reads at most; what is older is found in the files alone.
const QUERY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Ends the names of all files.
const EXTENSION: &str = ".ndjson";

/// The trail of one version.
#[derive(Debug)]
pub(super) struct Trail {
    directory: PathBuf,
    /// Begins the names of its files.
    name: &'static str,
    file_bytes_max: u64,
    files_max: usize,
    /// What is written to, and its size, once something was.
    open: Option<(File, u64)>,
}

impl Trail {
    pub(super) fn of(config: &AuditConfig, version: FhirVersion) -> Self {
        Self {
            directory: config.directory.clone(),
            name: version.path(),
            file_bytes_max: config.file_bytes_max,
            files_max: config.files_max.get(),
            open: None,
        }
    }

    /// Adds whole lines. Either all of them are in the file afterwards, or none is.
    pub(super) fn append(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let (mut file, bytes) = match self.open.take() {
            Some((_, bytes)) if bytes >= self.file_bytes_max => {
                self.put_aside(now)?;
                self.open_file()?
            }
            Some(open) => open,
            None => self.open_file()?,
        };
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Without the part that was written, so that no line is cut or there twice.
            file.set_len(bytes)?;
            return Err(error);
        }
        self.open = Some((file, bytes + lines.len() as u64));
        Ok(())
    }

    /// Opens the file, without the part of a line that a crash may have left at its end.
    fn open_file(&self) -> io::Result<(File, u64)> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(self.current())?;
        let bytes = whole_lines(&fs::read(self.current())?).len() as u64;
        file.set_len(bytes)?;
        Ok((file, bytes))
    }

    fn current(&self) -> PathBuf {
        self.directory.join(format!("{}{EXTENSION}", self.name))
    }

    /// Gives the file a name of its own, and removes the oldest that are too many.
    fn put_aside(&self, now: Timestamp) -> io::Result<()> {
        let at = now.strftime("%Y%m%dT%H%M%S.%3fZ");
        let name = format!("{}-{at}{EXTENSION}", self.name);
        fs::rename(self.current(), self.directory.join(name))?;
        let aside = self.aside()?;
        let too_many = aside.len().saturating_sub(self.files_max);
        for old in &aside[..too_many] {
            fs::remove_file(old)?;
        }
        Ok(())
    }

    /// The files put aside, the oldest first.
    fn aside(&self) -> io::Result<Vec<PathBuf>> {
        let beginning = format!("{}-", self.name);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&beginning) && name.ends_with(EXTENSION) {
                found.push(self.directory.join(name.as_ref()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The entries that are asked for, the newest first.
    pub(super) fn read(&self, query: &AuditQuery) -> io::Result<Vec<Bytes>> {
        let count = query.count.unwrap_or(AUDIT_ENTRIES_MAX).min(AUDIT_ENTRIES_MAX);
        let mut found = Vec::new();
        let mut left = QUERY_BYTES_MAX;
        let mut files = if self.directory.exists() { self.aside()? } else { Vec::new() };
        files.push(self.current());
        for path in files.iter().rev() {
            let Some(text) = read_file(path, &mut left)? else { break };
            let lines = whole_lines(&text).split(|byte| *byte == b'\n');
            let mut has_older = false;
            for line in lines.rev().filter(|line| !line.is_empty()) {
                if found.len() == count {
                    return Ok(found);
                }
                if is_before(line, query.since) {
                    has_older = true;
                } else if query.subscription.as_ref().is_none_or(|id| is_about(line, id.as_str())) {
                    found.push(text.slice_ref(line));
                }
            }
            // Files before this one have nothing newer.
            if has_older {
                break;
            }
        }
        Ok(found)
    }
}

/// A file, none where it is beyond what may still be read; empty where there is none.
fn read_file(path: &Path, left: &mut u64) -> io::Result<Option<Bytes>> {
    match fs::metadata(path) {
        Ok(file) if file.len() > *left => Ok(None),
        Ok(file) => {
            *left -= file.len();
            fs::read(path).map(|bytes| Some(Bytes::from(bytes)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(Bytes::new())),
        Err(error) => Err(error),
    }
}

/// The lines that are whole: the last may be being written.
fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    &text[..end]
}

/// Whether an entry is older than what is asked for.
fn is_before(line: &[u8], since: Option<Timestamp>) -> bool {
    const NAME: &str = "\"recorded\":\"";
    let Some(since) = since else { return false };
    let line = String::from_utf8_lossy(line);
    let recorded = line.split_once(NAME).and_then(|(_, rest)| rest.split_once('"'));
    recorded.and_then(|(text, _)| parse_instant(text)).is_some_and(|recorded| recorded < since)
}

/// Whether an entry is about a subscription: the lines are ours, without blanks.
fn is_about(line: &[u8], id: &str) -> bool {
    let line = String::from_utf8_lossy(line);
    let reference = format!("\"reference\":\"Subscription/{id}");
    line.match_indices(&reference)
        .any(|(at, found)| matches!(line.as_bytes().get(at + found.len()), Some(b'"' | b'/')))
}
