//! The agenda at work: the node, everything around it, and what outlives it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use cresset_node::{Clock, SteppedNode};
use jiff::Timestamp;

use crate::agenda::{Agenda, Step};
use crate::checkers::{Checked, Checkers, Violation};
use crate::clients::{Answer, Request};
use crate::disk::{Disk, Fault};
use crate::network::{Flight, Mode};
use crate::prng::Prng;
use crate::run::Report;
use crate::scenario::{HOSTS, Scenario, WEBSOCKETS};
use crate::sockets::SocketClient;
use crate::trace::Trace;

/// What the clock of the world begins with, in milliseconds since 1970.
const START: i64 = 1_767_225_600_000;
/// The longest that one lost hint costs, and a bit, in milliseconds.
const HINT_LOST: u64 = 6 * 60_000;
/// The longest that no node runs after a crash, in milliseconds.
const RESTART_MAX: u64 = 20_000;

/// A stream of random numbers for each concern.
pub(crate) struct Draws {
    pub(crate) clients: Prng,
    pub(crate) clock: Prng,
    pub(crate) crashes: Prng,
    pub(crate) disk: Prng,
    pub(crate) hints: Prng,
    pub(crate) network: Prng,
    pub(crate) receivers: Prng,
    pub(crate) scheduler: Prng,
    pub(crate) sockets: Prng,
}

/// When the loops of the node take their next turn, if they do.
#[derive(Debug, Default)]
struct Turns {
    cursors: Option<u64>,
    deliver: Option<u64>,
    index: Option<u64>,
    recover: Option<u64>,
    write: Option<u64>,
}

/// See the module. Times are milliseconds since the world began.
pub struct World {
    pub(crate) scenario: Scenario,
    pub(crate) agenda: Agenda,
    pub(crate) draws: Draws,
    pub(crate) now: u64,
    /// How far the node's clock is ahead of the world's.
    skew: i64,
    clock: Clock,
    pub(crate) disk: Disk,
    pub(crate) node: Option<SteppedNode>,
    /// Counts the nodes there were.
    pub(crate) incarnation: u64,
    turns: Turns,
    recovering: u32,
    pub(crate) requests: Vec<Request>,
    pub(crate) answers: Vec<(String, Answer)>,
    pub(crate) markers: u64,
    pub(crate) flights: BTreeMap<u64, Flight>,
    pub(crate) flights_begun: u64,
    pub(crate) hosts: [Mode; HOSTS],
    pub(crate) sockets: Vec<SocketClient>,
    pub(crate) connections: u64,
    pub(crate) checkers: Checkers,
    /// Nothing goes wrong any more.
    pub(crate) is_calm: bool,
    pub(crate) report: Report,
    trace: Trace,
}

impl World {
    /// A world that begins with a node on an empty store.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn new(scenario: Scenario, trace: Trace) -> Result<Self> {
        let draw = |concern| Prng::new(scenario.seed, concern);
        let draws = Draws {
            clients: draw("clients"),
            clock: draw("clock"),
            crashes: draw("crashes"),
            disk: draw("disk"),
            hints: draw("hints"),
            network: draw("network"),
            receivers: draw("receivers"),
            scheduler: draw("scheduler"),
            sockets: draw("sockets"),
        };
        let disk = Disk::new(scenario.store, scenario.tail_weight_max)?;
        let mut checkers = Checkers::default();
        checkers.isolation.per_host_max = scenario.per_host_max;
        checkers.order.flushes_missed = scenario.retry.flush_missed;
        checkers.facts.flushes_missed = scenario.retry.flush_missed;
        checkers.status.retry = scenario.retry.clone();
        checkers.status.breaker = scenario.breaker;
        let mut sockets: Vec<_> =
            (0..WEBSOCKETS).map(|number| SocketClient::new(vec![format!("w{number}")])).collect();
        // Its subscriptions are others' too.
        sockets.push(SocketClient::new(vec!["w0".to_owned(), "w1".to_owned()]));
        let start = Timestamp::from_millisecond(START).context("a time")?;
        let mut world = Self {
            agenda: Agenda::default(),
            draws,
            now: 0,
            skew: 0,
            clock: Clock::manual(start),
            disk,
            node: None,
            incarnation: 0,
            turns: Turns::default(),
            recovering: 0,
            requests: Vec::new(),
            answers: Vec::new(),
            markers: 0,
            flights: BTreeMap::new(),
            flights_begun: 0,
            hosts: [Mode::Well; HOSTS],
            sockets,
            connections: 0,
            checkers,
            is_calm: false,
            report: Report::default(),
            trace,
            scenario,
        };
        world.begin();
        Ok(world)
    }

    fn begin(&mut self) {
        self.agenda.plan(0, Step::Restart);
        self.agenda.plan(1, Step::Client);
        self.agenda.plan(60_000, Step::Trouble);
        self.agenda.plan(self.scenario.forget_period, Step::Forget);
        self.plan_crash();
        self.plan_jump();
        for index in 0..self.sockets.len() {
            self.plan_socket(index, 1_000);
        }
    }

    /// What has happened so far.
    pub fn report(&self) -> Report {
        let facts = &self.checkers.facts;
        let events = facts.log.iter().map(|one| one.events.len()).sum();
        Report {
            changes: facts.log.len(),
            events,
            milliseconds: self.now,
            hash: self.trace.hash(),
            judged: self.checkers.judged.clone(),
            ..self.report.clone()
        }
    }

    /// The steps taken.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The time that the node's clock shows, in milliseconds.
    pub(crate) fn node_clock(&self) -> i64 {
        START + i64::try_from(self.now).expect("not that long") + self.skew
    }

    pub(crate) fn note(&mut self, what: &str) {
        self.trace.note(format!("{} {} {what}", self.report.steps, self.now));
    }

    /// Takes the next step of the agenda.
    ///
    /// # Errors
    /// An invariant that does not hold.
    pub fn step(&mut self) -> Result<(), Violation> {
        let Some((at, step)) = self.agenda.next() else { return Ok(()) };
        self.now = self.now.max(at);
        self.set_clock();
        self.report.steps += 1;
        self.note(&format!("{step:?}"));
        self.take(step)?;
        if self.disk.has_crashed() {
            self.crash()?;
        }
        self.take_committed()?;
        self.take_answers()?;
        self.checkers.overdue(self.now)
    }

    fn take(&mut self, step: Step) -> Checked {
        match step {
            Step::Arrive(flight) => return self.arrive(flight),
            Step::Client => self.client_turn(),
            Step::Crash => {
                self.plan_crash();
                return self.crash();
            }
            Step::Cursors => self.write_cursors(),
            Step::Deliver => return self.deliver(),
            Step::Forget => return self.forget(),
            Step::Index => {
                self.turns.index = None;
                if let Some(node) = &self.node {
                    node.index();
                }
            }
            Step::Jump => self.jump(),
            Step::Outcome(flight) => self.outcome(flight),
            Step::Recover => self.recover_turn(),
            Step::Restart => return self.restart(),
            Step::Socket(index) => return self.socket_turn(index),
            Step::Trouble => self.trouble(),
            Step::Write => self.write(),
        }
        Ok(())
    }

    fn forget(&mut self) -> Checked {
        self.agenda.plan(self.now + self.scenario.forget_period, Step::Forget);
        let Some(node) = &self.node else { return Ok(()) };
        node.forget();
        let now = Timestamp::from_millisecond(self.node_clock()).unwrap_or(Timestamp::MAX);
        self.checkers.forgotten(&self.scenario.retention, now, self.disk.store())
    }

    fn set_clock(&self) {
        let now = Timestamp::from_millisecond(self.node_clock()).unwrap_or(Timestamp::MAX);
        self.clock.set(now);
    }

    fn take_committed(&mut self) -> Checked {
        let committed = self.disk.take_committed();
        if committed.is_empty() {
            return Ok(());
        }
        self.checkers.committed(committed, self.disk.store(), self.now)
    }

    /// The writer takes a turn; the store may fail it.
    fn write(&mut self) {
        self.turns.write = None;
        let mut failed = false;
        if !self.is_calm {
            let draw = &mut self.draws.disk;
            let fault = if draw.chance(self.scenario.append_fails) {
                Some(Fault::Unavailable)
            } else if draw.chance(self.scenario.append_unknown) {
                Some(draw.pick(&[Fault::UnknownDone, Fault::UnknownNotDone]))
            } else if draw.chance(self.scenario.append_crashes) {
                Some(draw.pick(&[Fault::CrashBefore, Fault::CrashAfter, Fault::CrashAfter]))
            } else {
                None
            };
            if let Some(fault) = fault {
                failed = true;
                self.note(&format!("  the next append: {fault:?}"));
                self.disk.fail_next(fault);
            }
        }
        let Some(node) = &mut self.node else { return };
        if node.write() {
            self.plan_deliver(0);
            self.plan_sockets();
            if failed {
                // What is unsure is read again, and tried again, with the next job.
                self.plan_cursors();
            }
            let index = self.now + 100;
            if self.turns.index.is_none() {
                self.turns.index = Some(index);
                self.agenda.plan(index, Step::Index);
            }
            self.plan_write();
        }
    }

    fn deliver(&mut self) -> Checked {
        // A nearer turn was planned after this one.
        if self.turns.deliver != Some(self.now) {
            return Ok(());
        }
        self.turns.deliver = None;
        let loses = !self.is_calm && self.draws.hints.chance(self.scenario.hints_lost);
        let spurious = !self.is_calm && self.draws.hints.chance(self.scenario.hints_spurious);
        if loses {
            self.note("  hints are lost");
            self.checkers.excuse(self.now + HINT_LOST);
        }
        let Some(node) = &mut self.node else { return Ok(()) };
        if loses {
            node.lose_hints();
        }
        if spurious {
            node.hint_at_all();
        }
        let sendings = node.deliver();
        let wait = u64::try_from(node.until_next_deadline().as_millis()).unwrap_or(u64::MAX);
        self.dispatch(sendings)?;
        self.plan_write();
        self.plan_deliver(wait.max(1));
        Ok(())
    }

    fn write_cursors(&mut self) {
        self.turns.cursors = None;
        if let Some(node) = &self.node {
            let written = node.write_cursors();
            let written = async move {
                written.await;
                Answer::Done
            };
            self.request("cursors".to_owned(), Box::pin(written));
        }
    }

    fn recover_turn(&mut self) {
        self.turns.recover = None;
        if let Some(node) = &mut self.node {
            node.recover();
        }
        self.plan_deliver(0);
        self.plan_sockets();
        if self.recovering > 0 {
            self.plan_recover(self.recovering - 1);
        }
    }

    /// Drops the node and all that it held.
    fn crash(&mut self) -> Checked {
        if self.node.take().is_none() {
            return Ok(());
        }
        self.requests.clear();
        self.answers.clear();
        self.sockets.iter_mut().for_each(SocketClient::cut);
        self.turns = Turns::default();
        self.agenda.cancel(|step| {
            matches!(
                step,
                Step::Cursors | Step::Deliver | Step::Index | Step::Recover | Step::Write
            )
        });
        self.checkers.excuse(self.now + RESTART_MAX);
        self.report.crashes += 1;
        let settled = self.disk.power_failure(&mut self.draws.disk);
        let settled = settled.map_err(|error| {
            Violation::new("durable", format!("after a power failure: {error:#}"))
        })?;
        if let Some(how) = settled {
            self.note(&format!("  crash: what was being written is {how}"));
            if how == "in part" {
                return Err(Violation::new("durable", "a group is on the disk in part"));
            }
        }
        let pause = if self.is_calm { 0 } else { self.draws.crashes.between(0, RESTART_MAX) };
        self.agenda.plan(self.now + pause, Step::Restart);
        Ok(())
    }

    fn restart(&mut self) -> Checked {
        if self.node.is_some() {
            return Ok(());
        }
        self.take_committed()?;
        self.incarnation += 1;
        let mut jitter = Prng::new(self.scenario.seed ^ self.incarnation, "jitter");
        let opened = SteppedNode::open(
            self.scenario.config(),
            self.disk.handle(),
            self.clock.clone(),
            move || jitter.next_u32(),
            self.scenario.machines_kept,
        );
        let node = opened.map_err(|error| {
            Violation::new("durable", format!("a node does not start: {error}"))
        })?;
        self.node = Some(node);
        self.checkers.restarted(self.disk.store())?;
        self.plan_deliver(0);
        self.plan_cursors();
        if self.incarnation == 1 {
            self.settle_in();
        }
        Ok(())
    }

    fn jump(&mut self) {
        let draw = &mut self.draws.clock;
        let far = i64::try_from(draw.between(1_000, self.scenario.jump_max)).expect("not that far");
        let far = if draw.chance(500) { far } else { -far };
        self.skew += far;
        self.note(&format!("  the clock jumps by {far} ms"));
        self.set_clock();
        self.plan_deliver(0);
        self.plan_jump();
    }

    fn trouble(&mut self) {
        self.trouble_hosts();
        let blind = self.draws.disk.chance(150);
        self.disk.set_blind(blind);
        let period = self.scenario.trouble_period;
        let pause = self.draws.receivers.between(period / 10, period);
        self.agenda.plan(self.now + pause, Step::Trouble);
    }

    /// From now on nothing goes wrong any more, and nobody writes.
    pub(crate) fn calm(&mut self) {
        self.is_calm = true;
        self.note("calm");
        self.hosts = [Mode::Well; HOSTS];
        self.disk.heal();
        self.agenda
            .cancel(|step| matches!(step, Step::Client | Step::Crash | Step::Jump | Step::Trouble));
        for index in 0..self.sockets.len() {
            self.sockets[index].slowness = 0;
            self.plan_socket(index, self.now);
        }
    }

    /// How long everything owed may take to arrive from the calm on.
    pub(crate) fn patience(&self) -> u64 {
        self.scenario.patience()
    }

    /// Whether all that is owed has arrived.
    pub(crate) fn is_settled(&self) -> bool {
        self.requests.is_empty() && self.checkers.no_loss.missing(&self.checkers.facts).is_none()
    }

    /// One more crash: what was stored has to be the same as before.
    pub(crate) fn end(&mut self) -> Checked {
        self.crash()?;
        self.restart()
    }

    pub(crate) fn into_trace(self) -> Trace {
        self.trace
    }

    fn plan_crash(&mut self) {
        if let Some(period) = self.scenario.crash_period {
            let pause = self.draws.crashes.between(1, period);
            self.agenda.plan(self.now + pause, Step::Crash);
        }
    }

    fn plan_jump(&mut self) {
        if let Some(period) = self.scenario.jump_period {
            let pause = self.draws.clock.between(1, period);
            self.agenda.plan(self.now + pause, Step::Jump);
        }
    }

    pub(crate) fn plan_client(&mut self, pause: u64) {
        self.agenda.plan(self.now + pause, Step::Client);
    }

    /// A turn of the delivery loop, this much later; what is planned for later than that stays.
    pub(crate) fn plan_deliver(&mut self, wait: u64) {
        let wait = if wait == 0 { self.draws.scheduler.between(0, 4) } else { wait };
        let at = self.now.saturating_add(wait);
        if self.node.is_some() && self.turns.deliver.is_none_or(|planned| at < planned) {
            self.turns.deliver = Some(at);
            self.agenda.plan_once(at, Step::Deliver);
        }
    }

    pub(crate) fn plan_write(&mut self) {
        let has_jobs = self.node.as_ref().is_some_and(SteppedNode::has_jobs);
        if has_jobs && self.turns.write.is_none() {
            let at = self.now + self.draws.scheduler.between(0, 6);
            self.turns.write = Some(at);
            self.agenda.plan(at, Step::Write);
        }
    }

    pub(crate) fn plan_cursors(&mut self) {
        if self.node.is_some() && self.turns.cursors.is_none() {
            self.turns.cursors = Some(self.now + 500);
            self.agenda.plan(self.now + 500, Step::Cursors);
        }
    }

    /// So many turns of the recovery loop.
    pub(crate) fn plan_recover(&mut self, turns: u32) {
        self.recovering = turns;
        if self.node.is_some() && self.turns.recover.is_none() {
            self.turns.recover = Some(self.now + 100);
            self.agenda.plan(self.now + 100, Step::Recover);
        }
    }
}
