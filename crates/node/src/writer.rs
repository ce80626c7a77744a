//! The single writer: orders all changes, decides what they are events of, commits in groups.
//!
//! It runs on a thread of its own, because deciding and flushing block. What waits in its queue
//! while a group is flushed becomes the next group, so one disk flush serves many writes. After
//! the flush, and only then, the group becomes visible: live table, recent changes, hints, answers.
//!
//! Invariants: I2, I3, I7, I11. Tests: `tests.rs` of this crate, and the crash tests of the binary.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use cresset_model::{
    ChannelType, Event, Issue, Position, SubscriptionError, SubscriptionKey, SubscriptionStatus,
    TraceContext,
};
use cresset_store::{self as store, Appended, Group, Record, crash_point};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};

use crate::catalogs::Catalogs;
use crate::conditional::Assumption;
use crate::draft::{Draft, Finished, LiveEffect};
use crate::error::{Error, Kind};
use crate::intent::{EventIntent, Intent, Job, Notified, StatusChange, Work, Written};
use crate::load::load;
use crate::shared::Shared;
use crate::spans::OpenSpan;

/// Changes in a group at most; a transaction that is larger is a group of its own.
const GROUP_ENTRIES_MAX: usize = 1024;

/// Sends jobs to the writer.
#[derive(Clone)]
pub(crate) struct WriterHandle(mpsc::Sender<Job>);

impl WriterHandle {
    /// The queue to a writer, and its other end for [`Writer::run`].
    pub(crate) fn new(queue_max: usize) -> (Self, mpsc::Receiver<Job>) {
        let (sender, receiver) = mpsc::channel(queue_max);
        (Self(sender), receiver)
    }

    /// Has these changes made together or not at all; they are durable when this returns.
    ///
    /// Cancel safety: dropping the future does not take the request back.
    pub(crate) async fn write(&self, intents: Vec<Intent>) -> Result<Vec<Written>, Error> {
        self.submit(Work { intents, assumptions: Vec::new() }).await?.wait().await
    }

    /// Hands over changes without waiting for them, so that several can share a flush.
    pub(crate) async fn submit(&self, work: Work) -> Result<Pending, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Write { work, reply }).await?;
        Ok(Pending(answer))
    }

    /// Tells of an event that is no change; it is durable when this returns.
    ///
    /// Cancel safety: dropping the future does not take the event back.
    pub(crate) async fn notify(&self, intent: EventIntent) -> Result<Notified, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Notify { intent: Box::new(intent), reply }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// Has bookkeeping recorded; it is durable when this returns.
    pub(crate) async fn record(&self, records: Vec<Record>) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Record { records, reply: Some(reply) }).await?;
        answer.await.map_err(|_| stopping())?
    }

    /// The catalogs in force once what was queued before is done.
    pub(crate) async fn catalogs(&self) -> Result<Catalogs, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Catalogs { reply }).await?;
        answer.await.map_err(|_| stopping())
    }

    /// How many jobs wait.
    pub(crate) fn waiting(&self) -> u64 {
        (self.0.max_capacity() - self.0.capacity()) as u64
    }

    /// Waits for room in the queue. Cancel safe.
    pub(crate) async fn reserve(&self) -> Result<mpsc::Permit<'_, Job>, Error> {
        self.0.reserve().await.map_err(|_| stopping())
    }

    /// Room in the queue, if there is any now.
    #[cfg(feature = "stepped")]
    pub(crate) fn try_reserve(&self) -> Result<mpsc::Permit<'_, Job>, Error> {
        self.0.try_reserve().map_err(|_| stopping())
    }

    /// Hands over a job that nobody waits for.
    pub(crate) async fn send(&self, job: Job) -> Result<(), Error> {
        self.0.send(job).await.map_err(|_| stopping())
    }
}

/// Changes that the writer was given.
pub(crate) struct Pending(oneshot::Receiver<Result<Answered, Error>>);

impl Pending {
    /// Waits until they are durable or refused.
    pub(crate) async fn wait(self) -> Result<Vec<Written>, Error> {
        let Answered { written, hinted } = self.0.await.map_err(|_| stopping())??;
        drop(hinted);
        Ok(written)
    }
}

/// What is told to whoever waits for changes.
pub(crate) struct Answered {
    written: Vec<Written>,
    /// With one answer of each group.
    hinted: Option<Hinted>,
}

/// The hints that a durable group gives, given when this is dropped: where its answer is taken, or where
/// nobody takes it. So a write that is waited for wakes one thread, and not another one to send as well.
struct Hinted {
    shared: Arc<Shared>,
    bound: Vec<SubscriptionKey>,
    sent_to: Vec<SubscriptionKey>,
}

impl Drop for Hinted {
    fn drop(&mut self) {
        self.bound.drain(..).for_each(|key| self.shared.hub.give(key));
        self.shared.delivery.give_all(self.sent_to.drain(..));
    }
}

fn stopping() -> Error {
    Error::unavailable("the server is stopping")
}

/// An answer to give once the group is durable.
struct Answer {
    reply: Reply,
    /// The commit in the trace of who waits.
    span: Option<OpenSpan>,
}

/// The answer itself.
enum Reply {
    Notify(oneshot::Sender<Result<Notified, Error>>, Notified),
    Record(Option<oneshot::Sender<Result<(), Error>>>),
    Write(oneshot::Sender<Result<Answered, Error>>, Vec<Written>),
}

impl Answer {
    /// `hinted` goes with the answer of a write, and stays for the next one otherwise.
    fn give(self, outcome: Result<(), &dyn Fn() -> Error>, hinted: &mut Option<Hinted>) {
        let Self { reply, span } = self;
        if let Some(mut span) = span
            && outcome.is_err()
        {
            span.fail();
        }
        reply.give(outcome, hinted);
    }
}

impl Reply {
    fn give(self, outcome: Result<(), &dyn Fn() -> Error>, hinted: &mut Option<Hinted>) {
        // A caller that went away is no fault: the change was made all the same.
        match (self, outcome) {
            (Self::Notify(reply, notified), Ok(())) => drop(reply.send(Ok(notified))),
            (Self::Notify(reply, _), Err(error)) => drop(reply.send(Err(error()))),
            (Self::Record(Some(reply)), outcome) => {
                drop(reply.send(outcome.map_err(|error| error())));
            }
            (Self::Record(None), _) => {}
            (Self::Write(reply, written), Ok(())) => {
                drop(reply.send(Ok(Answered { written, hinted: hinted.take() })));
            }
            (Self::Write(reply, _), Err(error)) => drop(reply.send(Err(error()))),
        }
    }
}

/// The writer's own state.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    catalogs: Catalogs,
    next: Position,
    last_at: Timestamp,
    health: Health,
    /// Status changes of the open group; kept when it fails, since others ask again only now and then (I5).
    statuses: Vec<StatusChange>,
    /// Those that could not be decided, for the next group, and how often that went wrong.
    undecided: Vec<(StatusChange, u32)>,
}

/// Says that nothing is written any more, also when the writer ends by a panic.
struct StoppedOnDrop(Arc<Shared>);

impl Drop for StoppedOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
    }
}

/// Changes of status that were asked for: one that is asked for again is the same (I10).
#[derive(Default)]
struct Asked(FxHashMap<SubscriptionKey, SmallVec<[StatusChange; 1]>>);

impl Asked {
    fn is_new(&mut self, change: &StatusChange) -> bool {
        let known = self.0.entry(change.subscription).or_default();
        let new = !known.contains(change);
        if new {
            known.push(change.clone());
        }
        new
    }
}

/// How many groups a change of status that cannot be decided goes into: a page of the store may be
/// readable again, while a bug stays one.
const STATUS_TRIES_MAX: u32 = 8;

/// Whether the writer knows what the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// Yes.
    Good,
    /// A commit may or may not have happened: read again before the next one.
    Unsure,
    /// Never again: another process writes, or the store is damaged.
    Stopped,
}

impl Writer {
    /// A writer that continues after all that the store holds.
    pub(crate) fn new(shared: Arc<Shared>) -> Result<Self, store::Error> {
        let catalogs = Catalogs::new(&shared.config);
        let mut writer = Self {
            shared,
            catalogs,
            next: Position::FIRST,
            last_at: Timestamp::UNIX_EPOCH,
            health: Health::Unsure,
            statuses: Vec::new(),
            undecided: Vec::new(),
        };
        let barred = writer.recover()?;
        if !barred.is_empty() {
            writer.bar(barred);
        }
        Ok(writer)
    }

    /// Has subscriptions that their owners may not have any more leave `active` before anything is
    /// sent (RQ-SS-03). Rights change with a start only.
    fn bar(&mut self, barred: Vec<(SubscriptionKey, Issue)>) {
        let changes = self.barring(barred);
        self.commit(changes.iter().cloned().map(Job::Status).collect());
        // Also where the store does not take it now: the next group, or the next start, tries again.
        self.hold_back(changes);
    }

    /// Has nothing sent for these subscriptions from now on, before their status is durable.
    fn hold_back(&self, changes: Vec<StatusChange>) {
        for change in changes {
            let Some(live) = self.shared.live.get(change.subscription) else { continue };
            let mut state = live.state();
            if state.status != change.to {
                state.take_status(change.to, change.error, self.last_at);
            }
        }
    }

    /// What has these subscriptions leave `active`, by how they are known now.
    fn barring(&self, barred: Vec<(SubscriptionKey, Issue)>) -> Vec<StatusChange> {
        let live = &self.shared.live;
        let changes = barred.into_iter().filter_map(|(subscription, issue)| {
            let revision = live.get(subscription)?.state().revision;
            let error =
                Some(SubscriptionError { code: None, text: format!("rights: {}", issue.text) });
            let to = SubscriptionStatus::Error;
            Some(StatusChange { subscription, revision, to, error, supersedes: true })
        });
        changes.collect()
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let _stopped = StoppedOnDrop(self.shared.clone());
        while let Some(first) = jobs.blocking_recv() {
            let (group, stop) = gather(first, &mut jobs);
            self.commit(group);
            if stop {
                return;
            }
        }
    }

    /// Commits what waits in the queue as one group; whether there was anything.
    #[cfg(feature = "stepped")]
    pub(crate) fn step(&mut self, jobs: &mut mpsc::Receiver<Job>) -> bool {
        let Ok(first) = jobs.try_recv() else { return false };
        let (group, _) = gather(first, jobs);
        self.commit(group);
        true
    }

    /// Reads the state anew from the store: at start, and when a commit's outcome is not known. Gives
    /// the subscriptions that their owners may not have any more.
    fn recover(&mut self) -> Result<Vec<(SubscriptionKey, Issue)>, store::Error> {
        let loaded = load(&self.shared)?;
        self.catalogs = loaded.catalogs;
        self.next = loaded.head.map_or(Position::FIRST, Position::next);
        self.last_at = loaded.last_at;
        self.health = Health::Good;
        self.shared.head.store(self.next.get() - 1, Ordering::Release);
        Ok(loaded.barred)
    }

    /// Reads the state anew after a commit that may have happened.
    fn read_back(&mut self) {
        match self.recover() {
            Ok(barred) => {
                // What was decided of these before is out of date, where it was not done.
                let changes = self.barring(barred);
                self.statuses.extend(changes.iter().cloned());
                self.hold_back(changes);
                // What the unknown commit made durable has hinted to nobody.
                self.shared.live.all().iter().for_each(|live| self.shared.hint_all(live));
            }
            Err(error) => tracing::error!(%error, "the store cannot be read"),
        }
    }

    /// Commits the jobs, in as many groups as their events need.
    fn commit(&mut self, jobs: Vec<Job>) {
        let mut rest = self.commit_group(jobs);
        while !rest.is_empty() {
            rest = self.commit_group(rest);
        }
    }

    /// Commits those of the jobs that fit into one group; gives the rest.
    fn commit_group(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        if self.health == Health::Unsure {
            self.read_back();
        }
        if self.health != Health::Good {
            self.refuse_all(jobs);
            return Vec::new();
        }
        let mut jobs = self.tell_catalogs(jobs);
        jobs.extend(self.statuses.drain(..).map(Job::Status));
        self.last_at = self.last_at.max(self.shared.clock.now());
        let saved = self.catalogs.clone();
        let mut answers = Vec::with_capacity(jobs.len());
        let retried = std::mem::take(&mut self.undecided);
        jobs.extend(retried.iter().map(|(change, _)| Job::Status(change.clone())));
        let mut asked = Asked::default();
        jobs.retain(|job| match job {
            Job::Status(change) => asked.is_new(change),
            Job::Catalogs { .. }
            | Job::Notify { .. }
            | Job::Record { .. }
            | Job::Stop
            | Job::Write { .. } => true,
        });
        let decided = self.decide(jobs, &retried, &mut answers);
        let Some((finished, rest)) = decided else { return Vec::new() };
        if finished.group.entries.is_empty() && finished.group.records.is_empty() {
            self.statuses.clear();
            answers.into_iter().for_each(|answer| answer.give(Ok(()), &mut None));
            return rest;
        }
        match self.append(&finished.group) {
            Ok(appended) => {
                crash_point("writer.appended");
                self.statuses.clear();
                let mut hinted = Some(self.publish(finished, &appended.events));
                crash_point("writer.published");
                answers.into_iter().for_each(|answer| answer.give(Ok(()), &mut hinted));
            }
            Err(error) => {
                self.catalogs = saved;
                let failure = self.failed(&error);
                answers.into_iter().for_each(|answer| answer.give(Err(&failure), &mut None));
            }
        }
        rest
    }

    /// Makes a group durable, and counts how that goes.
    fn append(&self, group: &Group) -> Result<Appended, store::Error> {
        let (begun, counters) = (Instant::now(), &self.shared.counters);
        let appended = self.shared.store.append(group);
        match &appended {
            Ok(_) => {
                counters.commit_time.observe(begun.elapsed());
                counters.group_changes.observe_value(group.entries.len() as u64);
            }
            Err(_) => counters.commits_failed.add(1),
        }
        appended
    }

    /// Answers those who ask for the catalogs, with all that is durable; gives the other jobs.
    fn tell_catalogs(&self, jobs: Vec<Job>) -> Vec<Job> {
        let others = jobs.into_iter().filter_map(|job| match job {
            Job::Catalogs { reply } => {
                drop(reply.send(self.catalogs.clone()));
                None
            }
            Job::Notify { .. }
            | Job::Record { .. }
            | Job::Status(_)
            | Job::Stop
            | Job::Write { .. } => Some(job),
        });
        others.collect()
    }

    /// Decides the jobs, in order, until the group is full; gives those that are left. Those refused
    /// are answered at once; `retried` are the changes of status among them that went wrong before.
    fn decide(
        &mut self,
        jobs: Vec<Job>,
        retried: &[(StatusChange, u32)],
        answers: &mut Vec<Answer>,
    ) -> Option<(Finished, Vec<Job>)> {
        let mut draft = Draft::new(&self.shared, &mut self.catalogs, self.next, self.last_at);
        let wanted = jobs.iter().flat_map(|job| match job {
            Job::Write { work, .. } => work.intents.as_slice(),
            Job::Catalogs { .. }
            | Job::Notify { .. }
            | Job::Record { .. }
            | Job::Status(_)
            | Job::Stop => &[],
        });
        if let Err(error) = draft.load(wanted) {
            tracing::error!(%error, "current versions cannot be read");
            drop(draft);
            self.refuse_all(jobs);
            return None;
        }
        draft.watch(jobs.iter().flat_map(assumptions_of));
        let mut watched = 0;
        let mut jobs = jobs.into_iter();
        while !draft.is_full()
            && let Some(job) = jobs.next()
        {
            match job {
                Job::Notify { intent, reply } => {
                    let mark = draft.mark();
                    let mut span = draft.begin_commit(intent.trace);
                    let notified = contained(|| {
                        let notified = draft.notify(*intent)?;
                        draft.check_events(&mark).map(|()| notified)
                    });
                    match notified {
                        Ok(notified) => {
                            answers.push(Answer { reply: Reply::Notify(reply, notified), span });
                        }
                        Err(error) => {
                            span.iter_mut().for_each(OpenSpan::fail);
                            draft.rollback(mark);
                            drop(reply.send(Err(error)));
                        }
                    }
                }
                Job::Record { records, reply } => {
                    draft.record(records);
                    answers.push(Answer { reply: Reply::Record(reply), span: None });
                }
                Job::Status(change) => {
                    let mark = draft.mark();
                    match contained(|| draft.change_status(change.clone())) {
                        Ok(()) => self.statuses.push(change),
                        Err(error) => {
                            tracing::error!(%error, "a status change failed");
                            draft.rollback(mark);
                            let before = retried.iter().find(|(one, _)| *one == change);
                            let failures = before.map_or(0, |(_, failures)| *failures) + 1;
                            if failures < STATUS_TRIES_MAX {
                                self.undecided.push((change, failures));
                            }
                        }
                    }
                }
                Job::Catalogs { .. } | Job::Stop => {}
                Job::Write { work, reply } => {
                    let mark = draft.mark();
                    let mut span = draft.begin_commit(trace_of(&work));
                    let places = watched..watched + work.assumptions.len();
                    watched = places.end;
                    let written = contained(|| {
                        draft.check(places)?;
                        let Work { intents, .. } = work;
                        let decided = intents.into_iter().enumerate().map(|(index, intent)| {
                            let written = draft.decide(intent);
                            let written = written
                                .and_then(|written| draft.check_events(&mark).map(|()| written));
                            written.map_err(|error| error.of_intent(index))
                        });
                        decided.collect()
                    });
                    match written {
                        Ok(written) => {
                            answers.push(Answer { reply: Reply::Write(reply, written), span });
                        }
                        Err(error) => {
                            span.iter_mut().for_each(OpenSpan::fail);
                            draft.rollback(mark);
                            drop(reply.send(Err(error)));
                        }
                    }
                }
            }
        }
        Some((draft.finish(), jobs.collect()))
    }

    /// Refuses what somebody waits for; keeps status changes, which are asked for again only now and then (I5).
    fn refuse_all(&mut self, jobs: Vec<Job>) {
        let mut more = Vec::new();
        for job in jobs {
            match job {
                Job::Status(change) => more.push(change),
                Job::Catalogs { .. }
                | Job::Notify { .. }
                | Job::Record { .. }
                | Job::Stop
                | Job::Write { .. } => {
                    refuse(job);
                }
            }
        }
        if !more.is_empty() {
            self.statuses.append(&mut more);
            let mut asked = Asked::default();
            self.statuses.retain(|change| asked.is_new(change));
        }
    }

    /// Makes a durable group visible; whom its events concern is for the caller to wake.
    fn publish(&mut self, finished: Finished, events: &[Event]) -> Hinted {
        let shared = &self.shared;
        finished.changes.iter().for_each(|kept| shared.observe_change(&kept.change));
        shared.counters.events_appended.add(events.len() as u64);
        if let Some(last) = finished.changes.last() {
            let last = last.change.position;
            self.next = last.next();
            shared.head.store(last.get(), Ordering::Release);
            shared.recent.push(finished.changes);
        }
        let mut hints = Vec::new();
        for effect in finished.effects {
            apply(shared, &self.catalogs, effect, &mut hints);
        }
        for subscription in hints.drain(..) {
            shared.hint_all(&subscription);
        }
        // Whoever is woken finds all of the group.
        let (mut bound, mut sent_to) = (Vec::new(), Vec::new());
        for event in events {
            let Some(subscription) = shared.live.get(event.subscription) else { continue };
            let mut state = subscription.state();
            state.append(*event);
            match state.settings.channel_type == ChannelType::Websocket {
                true => bound.push(event.subscription),
                false => sent_to.push(event.subscription),
            }
        }
        shared.index_wake.notify_one();
        Hinted { shared: shared.clone(), bound, sent_to }
    }

    /// What a failed append means, for the writer and for those who wait.
    fn failed(&mut self, error: &store::Error) -> impl Fn() -> Error + use<> {
        tracing::error!(error = error as &dyn std::error::Error, "a group was not appended");
        let unknown = match error {
            store::Error::Unavailable { .. } => false,
            store::Error::Unknown { .. } => {
                self.health = Health::Unsure;
                true
            }
            // A group that contradicts the store is a bug; what the writer knows is read anew, so
            // that it fails no write but these (I11).
            store::Error::CursorExpired | store::Error::Invalid { .. } => {
                self.health = Health::Unsure;
                false
            }
            store::Error::Corrupt { .. }
            | store::Error::Fenced { .. }
            | store::Error::InUse { .. }
            | store::Error::NewerFormat { .. } => {
                self.health = Health::Stopped;
                self.shared.stopped.store(true, Ordering::Release);
                false
            }
        };
        move || {
            if unknown {
                let text = "whether the change was made is not known; read before trying again";
                Error::of(Kind::Timeout, cresset_model::IssueCode::Timeout, text)
            } else {
                Error::unavailable("the store did not take the change; nothing was done")
            }
        }
    }
}

/// Runs a decision; a panic fails the job that it was for, and no other (I11). What was decided by
/// then is rolled back like that of any job that is refused.
fn contained<T>(decide: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decide))
        .unwrap_or_else(|_| Err(Error::internal("a decision of the writer panicked")))
}

/// The jobs of the next group, and whether it is the last one.
fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>) -> (Vec<Job>, bool) {
    let mut group = Vec::new();
    let mut entries = 0;
    let mut next = Some(first);
    while let Some(job) = next {
        if matches!(job, Job::Stop) {
            return (group, true);
        }
        entries += entries_of(&job);
        group.push(job);
        next = if entries < GROUP_ENTRIES_MAX { jobs.try_recv().ok() } else { None };
    }
    (group, false)
}

/// The trace of the request that a write is of.
fn trace_of(work: &Work) -> Option<TraceContext> {
    work.intents.first().and_then(|intent| intent.trace)
}

fn assumptions_of(job: &Job) -> &[Assumption] {
    match job {
        Job::Write { work, .. } => &work.assumptions,
        Job::Catalogs { .. }
        | Job::Notify { .. }
        | Job::Record { .. }
        | Job::Status(_)
        | Job::Stop => &[],
    }
}

fn entries_of(job: &Job) -> usize {
    match job {
        // What a write was prepared on is asked of each change of the group.
        Job::Write { work, .. } => work.intents.len() + work.assumptions.len(),
        Job::Notify { .. } | Job::Record { .. } | Job::Status(_) => 1,
        Job::Catalogs { .. } | Job::Stop => 0,
    }
}

fn refuse(job: Job) {
    let error = || Error::unavailable("the store cannot be written");
    match job {
        Job::Notify { reply, .. } => drop(reply.send(Err(error()))),
        Job::Record { reply: Some(reply), .. } => drop(reply.send(Err(error()))),
        // Whoever asks for the catalogs hears that nobody answers.
        Job::Catalogs { .. } | Job::Record { reply: None, .. } | Job::Status(_) | Job::Stop => {}
        Job::Write { reply, .. } => drop(reply.send(Err(error()))),
    }
}

/// Applies one effect of a durable group to the live table.
fn apply(
    shared: &Shared,
    catalogs: &Catalogs,
    effect: LiveEffect,
    hints: &mut Vec<Arc<crate::live::LiveSubscription>>,
) {
    match effect {
        LiveEffect::Begin(subscription) => {
            shared.live.insert(subscription.clone());
            hints.push(subscription);
        }
        LiveEffect::Bound(key) => {
            if let Some(subscription) = shared.live.get(key) {
                subscription.state().set_problem(None);
            }
        }
        LiveEffect::End(key) => {
            if let Some(subscription) = shared.live.remove(key) {
                subscription.state().gone = true;
                hints.push(subscription);
            }
        }
        LiveEffect::Missed(key, number) => {
            if let Some(subscription) = shared.live.get(key) {
                subscription.state().move_cursor(number);
            }
        }
        LiveEffect::Problem(key, text) => {
            if let Some(subscription) = shared.live.get(key) {
                tracing::warn!(
                    subscription.id = %subscription.id,
                    problem = %text,
                    "a filter could not be evaluated; the change was not told of"
                );
                subscription.state().set_problem(Some(text));
            }
        }
        LiveEffect::Settings(key, settings, status, at) => {
            if let Some(subscription) = shared.live.get(key) {
                subscription.state().take_settings(settings, status, at);
                hints.push(subscription);
            }
        }
        LiveEffect::Status(change) => {
            if let Some(subscription) = shared.live.get(change.subscription) {
                shared.counters.status_changed(change.to);
                crate::status::tell(&subscription, &change);
                let mut state = subscription.state();
                state.take_status(change.to, change.error, shared.clock.now());
                state.revision = state.revision.wrapping_add(change.supersedes.into());
                drop(state);
                hints.push(subscription);
            }
        }
        LiveEffect::Topics(base) => {
            shared.publish_topics(base, catalogs);
            shared.trigger_problems.clear(base);
        }
        LiveEffect::TriggerProblem(base, topic, problem) => {
            tracing::debug!(
                topic.url = %topic,
                problem,
                "a trigger could not be evaluated; the change was not told of"
            );
            shared.trigger_problems.note(base, topic, &problem);
        }
    }
}
