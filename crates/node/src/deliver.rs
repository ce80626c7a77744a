//! The delivery loop: carries out what the `Delivery` machines of subscriptions with an endpoint
//! (rest-hook, message, email) or a broker (kafka, nats) decide.
//!
//! One task owns all machines and one heap of deadlines. A subscription that waits, for its next
//! heartbeat or a retry, is an entry in the heap, not a task (I6). Attempts run as tasks, at most
//! `concurrency_max` at a time and `concurrency_per_host_max` to one host; those beyond wait their
//! turn in the queue of their host (`deliver/hosts.rs`). `deliver/send.rs` is one attempt,
//! `deliver/mail.rs` what is special about one by mail. The machine of a subscription that nothing
//! happens to is put away (`deliver/resting.rs`).
//!
//! Hints tell which subscription to look at; what is new is read from the live table. One that is
//! lost costs at most [`SWEEP_PERIOD`] (I8).
//!
//! All but [`DeliveryLoop::run`] neither waits nor spawns: the simulation drives the same code.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cresset_channel::RestHook;
use cresset_engine::{
    Attempt, AttemptId, Delivery, DeliverySettings, DeliveryState, Effect, Health, Input,
    JITTER_MIDDLE, Outcome, RetryPolicy,
};
use cresset_model::{ChannelType, EventNumber, SubscriptionKey, SubscriptionStatus};
use cresset_store::crash_point;
use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::clock::Watch;
use crate::draft::is_counted;
use crate::intent::{Job, StatusChange};
use crate::live::{LiveSubscription, State};
use crate::notify::Range;
use crate::random::random;
use crate::shared::{Shared, is_sent_to};
use crate::timer::Timer;
use crate::writer::WriterHandle;

mod addressee;
mod hosts;
mod mail;
mod resting;
mod room;
mod send;

use addressee::Addressee;
use hosts::{HostName, Hosts, Place, Turn, Turned};
use resting::{MACHINES_KEPT, Resting, is_delivered, is_quiet};
use send::Sender;
pub(crate) use send::Sent;
#[cfg(feature = "stepped")]
pub(crate) use send::{Letter, Unsent};

/// How often the loop looks for subscriptions that no hint told it of.
pub(crate) const SWEEP_PERIOD: Duration = Duration::from_secs(5 * 60);

/// Entries of the heap of deadlines that may be out of date, beyond as many as count.
const DEADLINES_OLD_MAX: usize = 1_024;

/// The machine of one subscription, and what it was last told.
struct Slot {
    live: Arc<LiveSubscription>,
    machine: Delivery,
    /// The client's changes that the machine knows of.
    revision: u32,
    /// The deadline that stands in the heap for it; others are out of date.
    deadline: Option<Timestamp>,
    /// The attempt that follows a change of status, until that change is durable: what is sent
    /// after a handshake says `active` (RQ-ER-12), and a restart would not find it `requested`.
    held: Option<Attempt>,
    /// The status that the machine asked for last and that is not durable yet.
    asked: Option<StatusChange>,
    /// Tells handshakes and heartbeats apart for receivers; another one for each that repeats none before it.
    nonce: Uuid,
    /// The same for what is sent again because somebody asked: to a receiver it is no repetition.
    resend_nonce: Uuid,
    /// Whom attempts are sent to, once there was one.
    addressee: Option<Arc<Addressee>>,
}

/// Draws for the machines, uniform over all `u32`.
pub(crate) type Jitter = Box<dyn FnMut() -> u32 + Send>;

/// An attempt that has a place and is to be sent now.
pub(crate) struct Start {
    /// Names it among those under way.
    pub(crate) run: u64,
    pub(crate) live: Arc<LiveSubscription>,
    addressee: Arc<Addressee>,
    pub(crate) attempt: Attempt,
    /// What the notification is to say.
    pub(crate) status: SubscriptionStatus,
    nonce: Uuid,
    /// Its place is one of those for hosts in trouble.
    suspect: bool,
}

/// An attempt under way.
struct Running {
    key: SubscriptionKey,
    attempt: Attempt,
    /// When it began.
    at: Timestamp,
    place: Place,
}

/// The loop and all that it owns.
pub(crate) struct DeliveryLoop {
    shared: Arc<Shared>,
    retry: Arc<RetryPolicy>,
    /// The same for mails: none go to a mailbox whose subscription is in `error`, since its owner may
    /// never have confirmed it.
    mail_retry: Arc<RetryPolicy>,
    /// The host of all mails.
    relay: Option<HostName>,
    jitter: Jitter,
    hosts: Hosts,
    host_heap: BinaryHeap<Reverse<(Timestamp, HostName)>>,
    slots: FxHashMap<SubscriptionKey, Box<Slot>>,
    /// Machines at rest are put away when there are more than this.
    machines_kept: usize,
    /// What is left of machines that were put away and have a deadline.
    resting: Resting,
    /// What the store held is seen: a machine made from now on was put away, or its subscription is new.
    begun: bool,
    /// The number that the next machine gives its first attempt: no two attempts are confused.
    next_attempt: AttemptId,
    heap: BinaryHeap<Reverse<(Timestamp, SubscriptionKey)>>,
    /// Ends of subscriptions of channels without endpoints that stand in the heap.
    ends: FxHashMap<SubscriptionKey, Timestamp>,
    /// Subscriptions to look at, each once, in the order they fell due.
    due: VecDeque<SubscriptionKey>,
    is_due: FxHashSet<SubscriptionKey>,
    /// Attempts that have not asked for a place yet.
    ready: VecDeque<(SubscriptionKey, Attempt)>,
    /// Attempts that nobody has taken on yet.
    starts: VecDeque<Start>,
    running: FxHashMap<u64, Running>,
    runs: u64,
    statuses: VecDeque<StatusChange>,
    /// When to look for what no hint told of.
    sweep_at: Timestamp,
    /// The time for what waits.
    watch: Watch,
}

impl DeliveryLoop {
    /// A loop that has looked at every subscription for which there is something to do.
    pub(crate) fn new(shared: Arc<Shared>, jitter: Jitter) -> Self {
        let retry = Arc::new(shared.config.delivery.retry.clone());
        let mail_retry = RetryPolicy { heartbeats_in_error: false, ..RetryPolicy::clone(&retry) };
        let relay = shared.config.email.as_ref().map(|email| &email.relay);
        let bounded = relay.map(|relay| (relay.host().into(), relay.connections_max()));
        let hosts = Hosts::new(&shared.config.delivery).with_relay(bounded);
        let watch = Watch::new(&shared.clock);
        let mut all = Self {
            shared: shared.clone(),
            retry,
            mail_retry: Arc::new(mail_retry),
            relay: relay.map(|relay| relay.host().into()),
            jitter,
            hosts,
            host_heap: BinaryHeap::new(),
            slots: FxHashMap::default(),
            machines_kept: MACHINES_KEPT,
            resting: Resting::default(),
            begun: false,
            next_attempt: AttemptId::FIRST,
            heap: BinaryHeap::new(),
            ends: FxHashMap::default(),
            due: VecDeque::new(),
            is_due: FxHashSet::default(),
            ready: VecDeque::new(),
            starts: VecDeque::new(),
            running: FxHashMap::default(),
            runs: 0,
            statuses: VecDeque::new(),
            sweep_at: after(watch.now(), SWEEP_PERIOD),
            watch,
        };
        let loud = |live: &LiveSubscription| {
            !is_quiet(&live.state()) || shared.cursors.has_stored(live.key)
        };
        for key in shared.live.keys_where(loud) {
            all.look_at(key);
        }
        all.begun = true;
        all
    }

    /// Works until told to stop, then waits for the attempts in flight, as long as they may still
    /// take, and records how they ended.
    ///
    /// What is not sent by then is sent after the next start: the log has it.
    pub(crate) async fn run(mut self, writer: WriterHandle, rest_hook: Arc<RestHook>) {
        let shared = self.shared.clone();
        let sender = Arc::new(Sender::new(shared.clone(), writer.clone(), rest_hook));
        let (mut tasks, mut timer) = (Tasks::default(), Timer::default());
        while !shared.is_stopping() {
            self.start();
            while let Some(start) = self.starts.pop_front() {
                tasks.spawn(sender.clone(), start);
            }
            let (deadline, now) = (self.next_deadline(), shared.clock.now());
            tokio::select! {
                () = shared.delivery.wait() => self.take_hints(),
                Some(ended) = tasks.join_next() => {
                    // With it, all that have ended meanwhile: a turn costs more than one of them.
                    let others = std::iter::from_fn(|| tasks.try_join_next());
                    std::iter::once(ended).chain(others).for_each(|(run, sent)| {
                        self.attempt_ended(run, sent);
                    });
                }
                permit = writer.reserve(), if !self.statuses.is_empty() => {
                    if let (Ok(permit), Some(change)) = (permit, self.statuses.pop_front()) {
                        permit.send(Job::Status(change));
                    }
                }
                () = timer.until(deadline, now) => self.enqueue_deadlines(),
            }
        }
        let grace_end = shared.grace_end.get().copied().unwrap_or_else(Instant::now);
        while let Ok(Some((run, sent))) = timeout_at(grace_end, tasks.join_next()).await {
            self.attempt_ended(run, sent);
        }
        tasks.cut_off().await;
        for change in self.statuses {
            if writer.send(Job::Status(change)).await.is_err() {
                break;
            }
        }
    }

    /// The same, that puts machines at rest away when it has more than so many.
    #[cfg(feature = "stepped")]
    pub(crate) fn keeping(self, machines_kept: usize) -> Self {
        Self { machines_kept, ..self }
    }

    /// Looks at what the hints name with the next [`Self::start`].
    pub(crate) fn take_hints(&mut self) {
        for key in self.shared.delivery.take() {
            self.enqueue(key);
        }
    }

    /// The next attempt to send; [`Self::attempt_ended`] has to follow.
    #[cfg(feature = "stepped")]
    pub(crate) fn take_start(&mut self) -> Option<Start> {
        self.starts.pop_front()
    }

    /// The next change of status for the writer.
    #[cfg(feature = "stepped")]
    pub(crate) fn take_status(&mut self) -> Option<StatusChange> {
        self.statuses.pop_front()
    }

    fn enqueue(&mut self, key: SubscriptionKey) {
        if self.is_due.insert(key) {
            self.due.push_back(key);
        }
    }

    /// When there is something to do without a hint.
    fn next_deadline(&self) -> Timestamp {
        let subscriptions = self.heap.peek().map(|Reverse((at, _))| *at);
        let hosts = self.host_heap.peek().map(|Reverse((at, _))| *at);
        subscriptions.into_iter().chain(hosts).fold(self.sweep_at, Timestamp::min)
    }

    /// How long there is nothing to do without a hint.
    #[cfg(feature = "stepped")]
    pub(crate) fn until_next_deadline(&self) -> Duration {
        let wait = self.next_deadline().duration_since(self.shared.clock.now());
        Duration::try_from(wait).unwrap_or(Duration::ZERO).min(crate::timer::SLEEP_MAX)
    }

    /// Looks at the clock; all that waits moves with one that is set back.
    fn keep_time(&mut self) {
        let Some(by) = self.watch.look(&self.shared.clock) else { return };
        tracing::warn!(seconds = by.as_secs(), "the clock was set back");
        self.sweep_at = before(self.sweep_at, by);
        self.hosts.set_back(by);
        let hosts = self.host_heap.drain();
        self.host_heap = hosts.map(|Reverse((at, host))| Reverse((before(at, by), host))).collect();
        self.resting.set_back(by);
        for slot in self.slots.values_mut() {
            slot.machine.set_back(by);
            slot.deadline = slot.machine.next_deadline();
        }
        self.order_deadlines();
    }

    pub(crate) fn enqueue_deadlines(&mut self) {
        self.keep_time();
        let now = self.watch.now();
        if self.sweep_at <= now {
            self.sweep_at = after(now, SWEEP_PERIOD);
            self.sweep();
        }
        while let Some(Reverse((at, key))) = self.heap.peek().copied() {
            if at > now {
                break;
            }
            self.heap.pop();
            match self.slots.get_mut(&key) {
                Some(slot) => slot.deadline = slot.deadline.filter(|deadline| *deadline != at),
                None => self.resting.passed(key, at),
            }
            self.enqueue(key);
        }
        while let Some(Reverse((at, _))) = self.host_heap.peek()
            && *at <= now
            && let Some(Reverse((at, host))) = self.host_heap.pop()
        {
            self.hosts.wake(host, at);
        }
    }

    /// Looks at every subscription of which something is not known here, whatever became of the
    /// hints (I8), and asks again for what the writer has not done, which may have given up (I5).
    fn sweep(&mut self) {
        let waiting: FxHashSet<_> = self.statuses.iter().map(|it| it.subscription).collect();
        let asked = self.slots.values().filter_map(|slot| slot.asked.clone());
        self.statuses.extend(asked.filter(|asked| !waiting.contains(&asked.subscription)));
        let (slots, resting) = (&self.slots, &self.resting);
        let mut found = self.shared.live.keys_where(|live| {
            let state = live.state();
            match slots.get(&live.key) {
                Some(slot) => {
                    // What waits for a status may have been told of it by a hint that was lost.
                    slot.asked.is_some()
                        || slot.held.is_some()
                        || state.revision != slot.revision
                        || state.status != slot.machine.status()
                        || state.last != slot.machine.last()
                }
                // What rests has its deadline in the heap.
                None => {
                    let rests = is_delivered(&state) && resting.covers(live.key, &state);
                    !rests && !is_quiet(&state)
                }
            }
        });
        found
            .extend(slots.values().filter(|slot| slot.live.state().gone).map(|slot| slot.live.key));
        found.extend(self.shared.delivery.waiting_resends());
        found.into_iter().for_each(|key| self.enqueue(key));
    }

    /// Starts what is due while there is room: what waits in the queue, what follows an ended
    /// attempt, and what waited for its host in turn, so that none keeps the others out.
    pub(crate) fn start(&mut self) {
        self.keep_time();
        while self.running.len() < self.shared.config.delivery.concurrency_max.get() {
            let due = self.due.pop_front();
            if let Some(key) = due {
                self.is_due.remove(&key);
                self.look_at(key);
            }
            let ready = self.ready.pop_front();
            if let Some((key, attempt)) = ready {
                self.offer(key, attempt);
            }
            let released = self.hosts.released.pop_front();
            if let Some(host) = &released {
                self.serve(host);
            }
            if due.is_none() && ready.is_none() && released.is_none() {
                break;
            }
        }
        let wakes = self.hosts.wakes.drain(..).map(Reverse);
        self.host_heap.extend(wakes);
        let (waiting, open) = self.hosts.waiting_and_open();
        let counters = &self.shared.counters;
        counters.attempts_running.set(self.running.len());
        counters.attempts_waiting.set(waiting);
        counters.breakers_open.set(open);
    }

    /// Tells a machine what is new about its subscription, and carries out what it decides.
    fn look_at(&mut self, key: SubscriptionKey) {
        let now = self.watch.now();
        let Some(live) = self.shared.live.get(key) else {
            self.slots.remove(&key);
            self.resting.take(key);
            self.ends.remove(&key);
            self.shared.delivery.resend_ended(key);
            self.shared.attempts.forget(key);
            return;
        };
        let (sent_to, settings, revision, found) = {
            let state = live.state();
            let sent_to = is_sent_to(&state.settings.channel_type);
            let State { status, cursor, last, .. } = *state;
            let found = DeliveryState { status, cursor, last, since: state.since(), retries: None };
            (sent_to, self.delivery_settings(&state), state.revision, found)
        };
        let DeliveryState { status, last, .. } = found;
        if !sent_to {
            if let Some(slot) = self.slots.remove(&key) {
                // An attempt under way is not taken for one of the next machine.
                self.next_attempt = self.next_attempt.max(slot.machine.next_attempt());
            }
            self.resting.take(key);
            self.shared.delivery.resend_ended(key);
            self.observe_end(&live, &settings, now);
            return;
        }
        let mut effects = Vec::new();
        let cursors = &self.shared.cursors;
        let slot = self.slots.entry(key).or_insert_with(|| {
            let mut found = DeliveryState { retries: cursors.take_stored(key), ..found };
            if self.begun && found.status == SubscriptionStatus::Active {
                // What it was put away with; what came since is told to it next.
                found.last = found.cursor.map_or(0, EventNumber::get);
            }
            let machine = Delivery::new(settings.clone(), found, now);
            if found.retries.is_some() && !machine.goes_on() {
                // Or it would hold again after another restart.
                cursors.note_retries(key, None);
            }
            let mut machine = machine.numbered_from(self.next_attempt);
            let rest = self.resting.take(key);
            let silent_since = match settings.heartbeat_period {
                // Nobody knows when the last notification was; not all are due at the same time.
                Some(period) if !self.begun => Some(before(now, share_of(period, (self.jitter)()))),
                Some(_) | None => rest.silent_since,
            };
            if let Some(silent_since) = silent_since {
                machine = machine.resumed(silent_since);
            }
            Box::new(Slot {
                machine,
                live,
                revision,
                deadline: rest.deadline,
                held: None,
                asked: None,
                nonce: Uuid::now_v7(),
                resend_nonce: Uuid::now_v7(),
                addressee: None,
            })
        });
        slot.asked.take_if(|asked| asked.to == status);
        // The client changed it, or the writer did: the topic may be gone.
        let by_others = slot.asked.is_none() && status != slot.machine.status();
        if slot.revision != revision || by_others {
            slot.revision = revision;
            slot.asked = None;
            slot.held = None;
            // Nobody shakes hands with what may be another endpoint (RQ-SB-02).
            let anew = slot.live.state().settings.is_classic();
            let cursor = found.cursor;
            let updated = Input::Updated { anew, cursor, settings, status };
            slot.machine.handle(updated, now, &mut effects);
        }
        if status == slot.machine.status() {
            self.ready.extend(slot.held.take().map(|attempt| (key, attempt)));
        }
        slot.machine.handle(Input::Appended { last }, now, &mut effects);
        if let Some(Range { first, last }) = self.shared.delivery.take_resend(key) {
            slot.machine.handle(Input::Resend { first, last }, now, &mut effects);
        }
        self.carry_out(key, effects);
    }

    /// Switches a subscription of another channel off when its `end` has come (RQ-SB-12).
    fn observe_end(
        &mut self,
        live: &LiveSubscription,
        settings: &DeliverySettings,
        now: Timestamp,
    ) {
        let Some(end) = settings.end else { return };
        let (status, revision) = {
            let state = live.state();
            (state.status, state.revision)
        };
        if !is_counted(status) {
            return;
        }
        if end > now {
            if self.ends.insert(live.key, end) != Some(end) {
                self.push_deadline(end, live.key);
            }
            return;
        }
        self.ends.remove(&live.key);
        self.statuses.push_back(StatusChange {
            subscription: live.key,
            revision,
            to: SubscriptionStatus::Off,
            error: None,
            supersedes: false,
        });
    }

    fn delivery_settings(&self, state: &State) -> DeliverySettings {
        DeliverySettings {
            heartbeat_period: state.settings.heartbeat_period,
            timeout: state.settings.timeout,
            max_count: state.settings.max_count,
            retry_period: state.settings.retry_period,
            end: DeliverySettings::end_in_force(state.settings.end, state.accepted()),
            policy: match state.settings.channel_type {
                ChannelType::Email => self.mail_retry.clone(),
                ChannelType::Custom(_)
                | ChannelType::Kafka
                | ChannelType::Message
                | ChannelType::Nats
                | ChannelType::RestHook
                | ChannelType::Websocket => self.retry.clone(),
            },
        }
    }

    /// Takes what came of an attempt; nothing if it panicked, which counts as a failure.
    pub(crate) fn attempt_ended(&mut self, run: u64, sent: Option<Sent>) {
        let Some(Running { key, attempt, at, place }) = self.running.remove(&run) else { return };
        self.keep_time();
        let now = self.watch.now();
        let Sent { outcome, health } = sent.unwrap_or_else(|| {
            let live = self.slots.get(&key).map(|slot| &slot.live);
            live.map_or_else(Sent::lost, |live| Sent::panicked(&self.shared, live, attempt, at))
        });
        let Turned { is_open, waiting } = self.hosts.ended(&place, health, (self.jitter)(), now);
        for (waiting, attempt) in waiting {
            match is_open {
                true => self.bar(waiting, attempt.id, now),
                false => self.tell(waiting, Input::AttemptFreed { id: attempt.id }, now),
            }
        }
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if outcome == Outcome::Success {
            crash_point("delivery.answered");
            if attempt.has_nonce() {
                *slot.nonce_of(&attempt) = Uuid::now_v7();
            }
        }
        let mut effects = Vec::new();
        let input = Input::AttemptEnded { id: attempt.id, outcome, jitter: (self.jitter)() };
        slot.machine.handle(input, now, &mut effects);
        self.carry_out(key, effects);
    }

    fn carry_out(&mut self, key: SubscriptionKey, effects: Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        for effect in effects {
            match effect {
                Effect::Attempt(attempt) => {
                    if !attempt.repeats && attempt.has_nonce() {
                        *slot.nonce_of(&attempt) = Uuid::now_v7();
                    }
                    if slot.live.state().status == slot.machine.status() {
                        self.ready.push_back((key, attempt));
                    } else {
                        slot.held = Some(attempt);
                    }
                }
                Effect::MoveCursor(number) => {
                    slot.live.state().move_cursor(number);
                    self.shared.cursors.note(key, number);
                    crash_point("delivery.confirmed");
                }
                Effect::NoteRetries(retries) => {
                    self.shared.cursors.note_retries(key, retries);
                    crash_point("delivery.failed");
                }
                Effect::ResendEnded => self.shared.delivery.resend_ended(key),
                Effect::SetStatus { status, error } => {
                    let change = StatusChange {
                        subscription: key,
                        revision: slot.revision,
                        to: status,
                        error,
                        supersedes: false,
                    };
                    slot.asked = Some(change.clone());
                    self.statuses.push_back(change);
                }
            }
        }
        let deadline = slot.machine.next_deadline();
        if let Some(at) = deadline
            && slot.deadline.is_none_or(|known| at < known)
        {
            slot.deadline = Some(at);
            self.push_deadline(at, key);
        }
        self.put_away(key);
    }

    /// Adds to the heap, which is made anew when most of what is in it is out of date: a deadline that
    /// an earlier one takes the place of stays in it (I10).
    fn push_deadline(&mut self, at: Timestamp, key: SubscriptionKey) {
        self.heap.push(Reverse((at, key)));
        let counted = self.slots.len() + self.resting.len() + self.ends.len();
        if self.heap.len() > 2 * counted + DEADLINES_OLD_MAX {
            self.order_deadlines();
        }
    }

    /// Makes the heap of what counts.
    fn order_deadlines(&mut self) {
        let slots = self.slots.iter().filter_map(|(key, slot)| Some((slot.deadline?, *key)));
        let ends = self.ends.iter().map(|(key, end)| (*end, *key));
        let counted = slots.chain(self.resting.deadlines()).chain(ends);
        self.heap = counted.map(Reverse).collect();
    }

    /// Puts a machine away that would do nothing for long: it is made anew from the live table.
    fn put_away(&mut self, key: SubscriptionKey) {
        if self.slots.len() <= self.machines_kept {
            return;
        }
        let Some(slot) = self.slots.get(&key) else { return };
        let Some(silent_since) = slot.machine.at_rest(self.watch.now()) else { return };
        // The machine would be made from what the live table says.
        let agrees = slot.live.state().status == slot.machine.status();
        if !agrees || slot.held.is_some() || slot.asked.is_some() {
            return;
        }
        self.next_attempt = self.next_attempt.max(slot.machine.next_attempt());
        self.resting.put(key, silent_since, slot.deadline);
        self.slots.remove(&key);
    }

    /// Starts an attempt, or has it wait for its host.
    fn offer(&mut self, key: SubscriptionKey, attempt: Attempt) {
        let now = self.watch.now();
        if !is_awaited(&self.slots, &(key, attempt)) {
            return;
        }
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Some(addressee) = slot.addressee(self.relay.as_ref()) else { return };
        let (slots, host) = (&self.slots, &addressee.host);
        match self.hosts.offer(host, (key, attempt), now, |entry| is_awaited(slots, entry)) {
            Turn::Go(place) => self.begin(key, attempt, place, addressee),
            Turn::Wait => {}
            Turn::Barred => self.bar(key, attempt.id, now),
        }
    }

    /// Starts the next attempt that waits for a host, if it may.
    fn serve(&mut self, host: &HostName) {
        let now = self.watch.now();
        let slots = &self.slots;
        let next = self.hosts.next(host, now, |entry| is_awaited(slots, entry));
        if let Some((key, attempt, place)) = next
            && let Some(slot) = self.slots.get_mut(&key)
        {
            match slot.addressee(self.relay.as_ref()) {
                Some(addressee) => self.begin(key, attempt, place, addressee),
                None => drop(self.hosts.ended(&place, Health::Unknown, (self.jitter)(), now)),
            }
        }
    }

    /// Tells a machine that its attempt waits for a host that does not answer.
    fn bar(&mut self, key: SubscriptionKey, id: AttemptId, now: Timestamp) {
        self.tell(key, Input::AttemptBarred { id }, now);
    }

    fn tell(&mut self, key: SubscriptionKey, input: Input, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let mut effects = Vec::new();
        slot.machine.handle(input, now, &mut effects);
        self.carry_out(key, effects);
    }

    /// Has an attempt sent: by the settings that its place was found by.
    fn begin(
        &mut self,
        key: SubscriptionKey,
        attempt: Attempt,
        place: Place,
        addressee: Arc<Addressee>,
    ) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let mut effects = Vec::new();
        let started = Input::AttemptStarted { id: attempt.id };
        slot.machine.handle(started, self.watch.now(), &mut effects);
        let (live, status) = (slot.live.clone(), slot.machine.status());
        let nonce = *slot.nonce_of(&attempt);
        let suspect = place.suspect;
        self.runs += 1;
        let run = self.runs;
        let at = self.watch.now();
        self.running.insert(run, Running { key, attempt, at, place });
        self.starts.push_back(Start { run, live, addressee, attempt, status, nonce, suspect });
        self.carry_out(key, effects);
    }
}

impl Slot {
    /// What tells an attempt's message from others like it; another one for each that repeats none before it. Of
    /// new events their numbers do.
    fn nonce_of(&mut self, attempt: &Attempt) -> &mut Uuid {
        if attempt.resends { &mut self.resend_nonce } else { &mut self.nonce }
    }

    /// Whom attempts are sent to by what the client asks for now; none where the machine does not know of that yet,
    /// and would send what the new endpoint may not have before it has taken a handshake.
    fn addressee(&mut self, relay: Option<&HostName>) -> Option<Arc<Addressee>> {
        let state = self.live.state();
        let known = self.addressee.take().filter(|known| known.is_of(&state));
        let addressee = known.unwrap_or_else(|| Arc::new(Addressee::of(&state, relay)));
        self.addressee = Some(addressee.clone());
        (addressee.revision == self.revision).then_some(addressee)
    }
}

/// The attempts that run as tasks.
#[derive(Default)]
struct Tasks {
    tasks: JoinSet<Sent>,
    runs: FxHashMap<Id, u64>,
}

impl Tasks {
    fn spawn(&mut self, sender: Arc<Sender>, start: Start) {
        let run = start.run;
        let task = self.tasks.spawn(async move { sender.send(start).await });
        self.runs.insert(task.id(), run);
    }

    /// Ends those that are left.
    async fn cut_off(&mut self) {
        if !self.tasks.is_empty() {
            tracing::warn!(attempts = self.tasks.len(), "attempts under way were cut off");
            self.tasks.shutdown().await;
        }
    }

    /// The next that ends, and what came of it; none while there are none. Cancel safe.
    async fn join_next(&mut self) -> Option<(u64, Option<Sent>)> {
        let ended = self.tasks.join_next_with_id().await?;
        self.ended(ended)
    }

    /// The next that has ended by now.
    fn try_join_next(&mut self) -> Option<(u64, Option<Sent>)> {
        let ended = self.tasks.try_join_next_with_id()?;
        self.ended(ended)
    }

    fn ended(&mut self, ended: Result<(Id, Sent), JoinError>) -> Option<(u64, Option<Sent>)> {
        let (task, sent) = match ended {
            Ok((task, sent)) => (task, Some(sent)),
            // It panicked.
            Err(error) => (error.id(), None),
        };
        Some((self.runs.remove(&task)?, sent))
    }
}

/// Whether an attempt that waits is still to be sent: not one by settings that its client has changed
/// since, which may lead to another host than the one it waits for.
fn is_awaited(
    slots: &FxHashMap<SubscriptionKey, Box<Slot>>,
    (key, attempt): &(SubscriptionKey, Attempt),
) -> bool {
    slots.get(key).is_some_and(|slot| {
        slot.machine.is_awaited(attempt.id) && slot.live.state().revision == slot.revision
    })
}

fn after(start: Timestamp, duration: Duration) -> Timestamp {
    start.checked_add(duration).unwrap_or(Timestamp::MAX)
}

fn before(end: Timestamp, duration: Duration) -> Timestamp {
    end.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

/// A part of a duration, drawn uniformly.
fn share_of(duration: Duration, draw: u32) -> Duration {
    duration.mul_f64(f64::from(draw) / 2f64.powi(32))
}

/// A draw for the machines; without randomness all retries simply come when the schedule says.
pub(crate) fn jitter() -> u32 {
    random().map_or(JITTER_MIDDLE, u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
