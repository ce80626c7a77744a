//! W6: the server killed at random while clients write, started again on the same data, and audited at the end.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;

use super::Settings;
use super::large::launch;
use super::report::Killed;
use crate::audit::Passed;
use crate::http::Connection;
use crate::observation::{create_request, patient};
use crate::receiver::{Receiver, digest};
use crate::statistics::{Spread, round};
use crate::target::Target;

/// Endpoints, each with a subscription and a writing client of its own.
const CLIENTS: usize = 8;
/// The server lives at least so long, and at most twice.
const LIFE_MIN: Duration = Duration::from_millis(300);
/// How long what was acknowledged may take to arrive after the last start.
const ARRIVE_MAX: Duration = Duration::from_secs(60);

/// What one client has had acknowledged.
struct Client {
    request: Vec<u8>,
    id: String,
    acknowledged: Vec<u64>,
}

/// Kills and starts again; then everything acknowledged must be there, in order, and nothing out of order.
pub(super) async fn run(settings: &Settings) -> anyhow::Result<(Killed, Passed)> {
    let directory = settings.directory()?;
    let receiver = Receiver::open(CLIENTS).await?;
    let mut clients = Vec::new();
    let mut ready = Vec::new();
    let mut target = Target::launch(&settings.ours(), directory.path(), &launch()).await?;
    let mut connection = Connection::open(target.address).await?;
    for (number, url) in receiver.urls().iter().enumerate() {
        let urls = std::iter::once(url.clone());
        let ids = target.hook_all(&mut connection, &patient(number), urls).await?;
        let id = ids.into_iter().next().context("no subscription was made")?;
        let request = create_request("cresset.example", &patient(number));
        clients.push(Client { request, id, acknowledged: Vec::new() });
    }
    receiver.all_shook_hands(ARRIVE_MAX).await?;
    for _ in 0..settings.kills {
        write_and_kill(&mut target, &mut clients).await;
        let started = Instant::now();
        target = Target::launch(&settings.ours(), directory.path(), &launch()).await?;
        ready.push(round(started.elapsed().as_secs_f64()));
    }
    let audited = audit(&target, &receiver, &clients).await;
    let (passed, repeats) = audited.with_context(|| format!("W6:\n{}", target.log_tail()))?;
    let acknowledged = clients.iter().map(|client| client.acknowledged.len() as u64).sum();
    let kills = settings.kills;
    Ok((Killed { kills, acknowledged, repeats, ready_seconds: Spread::of(ready) }, passed))
}

/// Clients write until the server is killed under them.
async fn write_and_kill(target: &mut Target, clients: &mut [Client]) {
    let address = target.address;
    let writing = join_all(clients.iter_mut().map(async |client| {
        let Ok(mut connection) = Connection::open(address).await else { return };
        // Ends with the server: what it did not acknowledge may or may not have been done.
        while let Ok(answer) = connection.exchange(&client.request).await {
            let Some(id) = answer.created_id("Observation") else { return };
            client.acknowledged.push(digest(id));
        }
    }));
    let killing = async {
        tokio::time::sleep(some_time()).await;
        target.process.kill();
    };
    tokio::join!(writing, killing);
}

/// A different time each time; that it cannot be repeated does not matter to a measurement.
fn some_time() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    LIFE_MIN + LIFE_MIN.mul_f64(f64::from(now.subsec_nanos() % 1_000) / 1_000.0)
}

async fn audit(
    target: &Target,
    receiver: &Receiver,
    clients: &[Client],
) -> anyhow::Result<(Passed, u64)> {
    let mut connection = Connection::open(target.address).await?;
    let (mut passed, mut repeats) = (Passed::default(), 0);
    for (endpoint, client) in clients.iter().enumerate() {
        let counted = target.counted(&mut connection, &client.id).await?;
        receiver.reach(endpoint, counted, ARRIVE_MAX).await?;
        let (foci, again) = receiver.account(endpoint)?;
        let count = foci.len() as u64;
        ensure!(count == counted, "endpoint {endpoint} got {count} events of {counted}");
        // Between what was acknowledged there may be what was done and not acknowledged.
        let mut events = foci.iter();
        let lost = client.acknowledged.iter().filter(|one| !events.any(|focus| focus == *one));
        let lost = lost.count();
        ensure!(lost == 0, "endpoint {endpoint}: {lost} acknowledged creates lost or out of order");
        passed.add(Passed { subscriptions: 1, events: counted });
        repeats += again;
    }
    Ok((passed, repeats))
}
