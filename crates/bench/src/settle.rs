//! Memory that stands still.

use std::time::{Duration, Instant};

use crate::process::Memory;
use crate::target::Target;

/// Between two looks at memory.
const SETTLE_POLL: Duration = Duration::from_millis(100);
/// Looks in a row that must agree.
const SETTLE_LOOKS: u32 = 5;
/// How far they may differ.
const SETTLE_BYTES: u64 = 64 << 10;
/// How long memory may take to stand still.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// Reads memory until it stands still; the flag is false if it did not.
///
/// # Errors
/// When the target has ended.
pub async fn settle(target: &Target) -> anyhow::Result<(Memory, bool)> {
    let deadline = Instant::now() + SETTLE_MAX;
    let mut last = target.process.memory()?;
    let mut agreed = 0;
    while agreed < SETTLE_LOOKS {
        if Instant::now() > deadline {
            return Ok((last, false));
        }
        tokio::time::sleep(SETTLE_POLL).await;
        let memory = target.process.memory()?;
        let near = memory.resident_bytes.abs_diff(last.resident_bytes) <= SETTLE_BYTES
            && memory.anonymous_bytes.abs_diff(last.anonymous_bytes) <= SETTLE_BYTES;
        agreed = if near { agreed + 1 } else { 0 };
        last = memory;
    }
    Ok((last, true))
}
