//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// How long anything may take before a test fails: far more than it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer.
///
/// # Panics
/// With `what` when there is none in time.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    condition: impl FnMut() -> F,
) -> T {
    until_within(PATIENCE, what, condition).await
}

/// As [`until`], for what takes another time.
pub(crate) async fn until_within<T, F: Future<Output = Option<T>>>(
    time_max: Duration,
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + time_max;
    loop {
        if let Some(answer) = condition().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {time_max:?}: {what}");
        pause().await;
    }
}

/// Lets others go on between two looks at a condition.
pub(crate) async fn pause() {
    tokio::time::sleep(POLL).await;
}
