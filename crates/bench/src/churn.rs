//! Churn (W8): subscriptions that come and go while creates are measured.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::http::Connection;
use crate::load::{Client, Segment, closed_loop};
use crate::observation::patient;
use crate::statistics::rate;
use crate::target::Target;

/// Subscribes a second, and as many unsubscribes.
pub const CHURN_PER_SECOND: u32 = 1_000;
/// Connections that share them.
const CONNECTIONS: u32 = 8;
/// Numbers of the patients begin here, past all others.
const FIRST_PATIENT: usize = 50_000_000;

/// What a stretch with churn gave.
#[derive(Debug)]
pub struct Churned {
    /// The creates.
    pub segment: Segment,
    /// Subscribes a second, each with its unsubscribe, over the stretch and its warm-up.
    pub per_second: f64,
}

/// A closed loop, while one subscription after the other is made and deleted again.
///
/// # Errors
/// When a create, a subscribe or an unsubscribe fails.
pub async fn closed_loop_with_churn(
    target: &Target,
    clients: &mut [Client],
    warm_up: Duration,
    length: Duration,
) -> anyhow::Result<Churned> {
    let (is_over, made, started) = (Cell::new(false), Cell::new(0_u64), Instant::now());
    let load = async {
        let segment = closed_loop(target, clients, warm_up, length).await?;
        is_over.set(true);
        anyhow::Ok((segment, rate(made.get(), started.elapsed())))
    };
    let churn = try_join_all((0..CONNECTIONS).map(|_| churn(target, &is_over, &made)));
    let ((segment, per_second), _) = tokio::try_join!(load, churn)?;
    Ok(Churned { segment, per_second })
}

/// The share of one connection: each subscription has an intended time, late ones come at once.
async fn churn(target: &Target, is_over: &Cell<bool>, made: &Cell<u64>) -> anyhow::Result<()> {
    let interval = Duration::from_secs(1) * CONNECTIONS / CHURN_PER_SECOND;
    let mut connection = Connection::open(target.address).await?;
    let mut due = tokio::time::Instant::now();
    while !is_over.get() {
        tokio::time::sleep_until(due).await;
        due += interval;
        let number = usize::try_from(made.get()).unwrap_or_default();
        made.set(made.get() + 1);
        let id = target.subscribe(&mut connection, &patient(FIRST_PATIENT + number)).await?;
        target.unsubscribe(&mut connection, &id).await?;
    }
    Ok(())
}
