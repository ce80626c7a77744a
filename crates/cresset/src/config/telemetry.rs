//! The sections `[metrics]`, `[telemetry]` and `[audit]`: for those who watch.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use cresset_api::MetricsAccess;
use url::Url;

use super::reader::Reader;
use super::value::{self, choice, count, size};

/// `[metrics]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metrics {
    pub(crate) access: MetricsAccess,
}

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Telemetry {
    pub(crate) otlp_endpoint: Option<Url>,
    pub(crate) otlp_headers_file: Option<PathBuf>,
    pub(crate) sampled_one_in: NonZeroU32,
}

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) level: AuditLevel,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) file_max: NonZeroUsize,
    pub(crate) files_max: NonZeroUsize,
}

/// `audit.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuditLevel {
    All,
    Changes,
    Off,
}

impl Audit {
    pub(super) fn read(reader: &mut Reader) -> Self {
        const LEVELS: &[(&str, AuditLevel)] =
            &[("all", AuditLevel::All), ("changes", AuditLevel::Changes), ("off", AuditLevel::Off)];
        Self {
            level: reader.required("audit.level", &choice(LEVELS)),
            directory: reader.optional("audit.directory", &value::path()),
            file_max: reader.required("audit.file-max", &size("64KiB", "1GiB")),
            files_max: reader.required("audit.files-max", &count(1, 100_000)),
        }
    }
}

impl Metrics {
    pub(super) fn read(reader: &mut Reader) -> Self {
        const ACCESSES: &[(&str, MetricsAccess)] = &[
            ("off", MetricsAccess::Off),
            ("open", MetricsAccess::Open),
            ("right", MetricsAccess::Right),
        ];
        Self { access: reader.required("metrics.access", &choice(ACCESSES)) }
    }
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            otlp_endpoint: reader.optional("telemetry.otlp-endpoint", &value::base_url()),
            otlp_headers_file: reader.optional("telemetry.otlp-headers-file", &value::path()),
            sampled_one_in: reader.required("telemetry.sampled-one-in", &count(1, 1_000_000)),
        }
    }
}
