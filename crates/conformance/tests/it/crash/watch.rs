//! What the subscribers of one base know, and what must be true of it after any number of kills.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cresset_conformance::{
    Answer, Client, Notification, Receiver, Sent, Socket, Subscribe, Token, Version, until,
};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::TOPIC;

/// Events that the subscription with few kept ones keeps.
pub(super) const FEW: u64 = 40;

/// The highest version of each resource that the server acknowledged.
pub(super) type Acknowledged = BTreeMap<String, u64>;

/// Where notifications are sent.
pub(super) struct Receivers {
    /// Answers 200 to everything.
    pub(super) steady: Receiver,
    /// Answers 503 now and then. Another host, so that its failures are its own.
    pub(super) flapping: Receiver,
}

/// What one base's subscribers know.
pub(super) struct Watch {
    pub(super) version: Version,
    web: String,
    hooks: [String; 2],
    path: String,
    token: Token,
    /// What came over sockets.
    heard: Arc<Mutex<Heard>>,
    /// Foci of the events, by number; those read so far.
    events: Vec<String>,
    /// Versions of each resource that exist.
    pub(super) versions: Acknowledged,
    /// Subscriptions made in between.
    pub(super) others: Vec<String>,
}

#[derive(Default)]
struct Heard {
    /// Last event number.
    last: u64,
    /// Numbers and foci that were not compared yet.
    events: Vec<(u64, String)>,
}

impl Watch {
    pub(super) async fn start(base: &Client, receivers: &Receivers) -> Self {
        let path = format!("/{}", base.version);
        let mut hooks = Vec::new();
        for receiver in [&receivers.steady, &receivers.flapping] {
            let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).max_count(9);
            let hook = base.subscribe(&asked).await;
            base.wait_for_status(&hook, "active").await;
            hooks.push(hook);
        }
        let web = base.subscribe(&Subscribe::websocket(TOPIC).max_count(7)).await;
        let token = base.token(&[&web]).await;
        Self {
            version: base.version,
            web,
            hooks: hooks.try_into().expect("one for each receiver"),
            path,
            token,
            heard: Arc::default(),
            events: Vec::new(),
            versions: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    /// Binds with the token of the beginning and notes what comes, until the server is gone.
    pub(super) fn listen(&self, base: &Client) -> JoinHandle<()> {
        let (base, token, heard) = (base.clone(), self.token.clone(), self.heard.clone());
        tokio::spawn(async move {
            let url = format!("{}/ws", base.url.replace("http://", "ws://"));
            let Ok(mut socket) = Socket::try_open(base.version, &url).await else { return };
            socket.bind(&token).await;
            let mut next = None;
            while let Ok(told) = socket.next_or_closed().await {
                let mut heard = heard.lock().expect("no panic while it is held");
                for (number, focus) in numbered(&told) {
                    let last = heard.last;
                    assert!(number <= last + 1, "{number} after {last}: skipped");
                    assert!(next.is_none_or(|next| number == next), "out of order: {number}");
                    next = Some(number + 1);
                    heard.last = number.max(last);
                    heard.events.push((number, focus));
                }
            }
        })
    }

    /// Compares versions, numbers and events after a restart.
    pub(super) async fn check_log(&mut self, base: &Client) {
        let fresh: Vec<(String, u64)> =
            self.versions.iter().map(|(path, version)| (path.clone(), *version)).collect();
        let checked = fresh.iter().map(|(path, version)| check_versions(base, path, *version));
        let existing: Acknowledged =
            fresh.iter().map(|(path, _)| path.clone()).zip(join_all(checked).await).collect();
        self.versions.clear();
        let count = base.count(&self.web).await;
        for hook in &self.hooks {
            assert_eq!(count, base.count(hook).await, "all see the same changes");
        }
        let before = self.events.len();
        while (self.events.len() as u64) < count {
            let query = format!("eventsSinceNumber={}", self.events.len() + 1);
            let page = base.events(&self.web, &query).await;
            assert_eq!(page.numbers().first(), Some(&(self.events.len() as u64 + 1)));
            self.events.extend(page.foci());
        }
        let mut told = Acknowledged::new();
        for focus in &self.events[before..] {
            *told.entry(focus.clone()).or_default() += 1;
        }
        let existing: Acknowledged = existing.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(told, existing, "an event for each version, and no other");
        for other in &self.others {
            base.status(other).await;
        }
        let heard = std::mem::take(&mut self.heard.lock().expect("nobody listens").events);
        for (number, focus) in heard {
            self.check_focus(number, &focus);
        }
    }

    /// Everything has arrived, at least once, in order.
    pub(super) async fn check_delivery(&self, base: &Client, receivers: &Receivers) {
        let count = self.events.len() as u64;
        let listener = self.listen(base);
        let heard = self.heard.clone();
        until("the socket has heard of everything", || {
            let heard = heard.lock().expect("no panic while it is held").last;
            std::future::ready((heard == count).then_some(()))
        })
        .await;
        listener.abort();
        for (hook, receiver) in self.hooks.iter().zip([&receivers.steady, &receivers.flapping]) {
            self.check_sent(receiver).await;
            assert_eq!(base.status(hook).await.status, "active");
            // What was told before is told again.
            let mut again = Vec::new();
            while (again.len() as u64) < count {
                let query = format!("eventsSinceNumber={}", again.len() + 1);
                again.extend(base.events(hook, &query).await.foci());
            }
            assert_eq!(again, self.events);
        }
    }

    /// What one endpoint was sent: all of it, in order, and twice only where the answer was no, or
    /// where the process died before it could note that it was yes.
    async fn check_sent(&self, receiver: &Receiver) {
        let count = self.events.len() as u64;
        let mut taken = 0;
        let mut before: Option<Batch> = None;
        while taken < count {
            let sent = receiver.next(&self.path).await;
            let Some(batch) = Batch::read(self.version, &sent) else { continue };
            for (offset, focus) in batch.foci.iter().enumerate() {
                self.check_focus(batch.first + offset as u64, focus);
            }
            assert!(batch.first <= taken + 1, "{} after {taken}: skipped", batch.first);
            if let Some(before) = before.filter(|before| before.life == batch.life) {
                let (first, last) = (before.first, before.last());
                if before.accepted {
                    assert_eq!(batch.first, last + 1, "{first} to {last} had arrived");
                } else {
                    assert_eq!((batch.first, batch.last()), (first, last), "a retry is the same");
                }
            }
            if batch.accepted {
                taken = taken.max(batch.last());
            }
            before = Some(batch);
        }
    }

    fn check_focus(&self, number: u64, focus: &str) {
        let index = usize::try_from(number - 1).expect("a small number");
        assert_eq!(self.events.get(index).map(String::as_str), Some(focus), "event {number}");
    }
}

/// A notification of events that an endpoint got.
struct Batch {
    /// Tells one life of the server from another: each has its own port.
    life: String,
    first: u64,
    foci: Vec<String>,
    accepted: bool,
}

impl Batch {
    fn read(version: Version, sent: &Sent) -> Option<Self> {
        let told = sent.notification(version);
        let events = numbered(&told);
        let (first, _) = *events.first()?;
        for (offset, (number, _)) in events.iter().enumerate() {
            assert_eq!(*number, first + offset as u64, "a gap in a notification");
        }
        let foci = events.into_iter().map(|(_, focus)| focus).collect();
        let accepted = matches!(sent.answer, Answer::Status(200));
        Some(Self { life: told.subscription, first, foci, accepted })
    }

    fn last(&self) -> u64 {
        self.first + self.foci.len() as u64 - 1
    }
}

fn numbered(told: &Notification) -> Vec<(u64, String)> {
    told.numbers().into_iter().zip(told.foci()).collect()
}

/// How many versions there are, each of which can be read.
async fn check_versions(base: &Client, path: &str, acknowledged: u64) -> u64 {
    let history = base.get(&format!("{path}/_history?_count=1")).await;
    if history.status == 404 {
        assert_eq!(acknowledged, 0, "{path} is lost");
        return 0;
    }
    let total = history.expect(200).json()["total"].as_u64().expect("a total");
    assert!(total >= acknowledged, "{path}: version {acknowledged} is lost, {total} are there");
    for version in 1..=total {
        let reply = base.get(&format!("{path}/_history/{version}")).await;
        assert!(matches!(reply.status, 200 | 410), "{reply}");
    }
    total
}
