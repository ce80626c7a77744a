//! A timer that is set anew only where that is needed.

use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Sleep, sleep};

/// How far in the future a timer is set at most: whoever waits looks at the clock again by then, which somebody
/// may have set meanwhile.
pub(crate) const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Wakes somebody at deadlines that move, mostly to later: as often as with every frame or attempt, while the
/// timer of the runtime stays as it is.
#[derive(Default)]
pub(crate) struct Timer(Option<(Timestamp, Pin<Box<Sleep>>)>);

impl Timer {
    /// Waits until a deadline, or for less: whoever is woken looks whether there is something to do. Cancel safe.
    pub(crate) async fn until(&mut self, deadline: Timestamp, now: Timestamp) {
        let timely = self.0.take().filter(|(at, _)| *at <= deadline);
        let (_, timer) = self.0.insert(timely.unwrap_or_else(|| {
            let wait = Duration::try_from(deadline.duration_since(now)).unwrap_or(Duration::ZERO);
            let at = now.checked_add(SLEEP_MAX).unwrap_or(deadline).min(deadline);
            (at, Box::pin(sleep(wait.min(SLEEP_MAX))))
        }));
        timer.as_mut().await;
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// When a timer is set to wake somebody who begins to wait now, and then waits no more.
    fn set(timer: &mut Timer, deadline: i64, now: i64) -> Option<Timestamp> {
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(timer.until(at(deadline), at(now))).poll(&mut context).is_pending());
        timer.0.as_ref().map(|(at, _)| *at)
    }

    #[tokio::test]
    async fn a_timer_is_kept_for_later_deadlines_and_set_anew_for_sooner_ones() {
        let mut timer = Timer::default();
        assert_eq!(set(&mut timer, 50, 0), Some(at(50)));
        assert_eq!(set(&mut timer, 55, 1), Some(at(50)));
        assert_eq!(set(&mut timer, 45, 2), Some(at(45)));
        timer.until(at(3), at(4)).await;
        assert!(timer.0.is_none(), "it was time");
        assert_eq!(set(&mut timer, 1_000, 5), Some(at(65)), "the clock is looked at now and then");
    }
}
