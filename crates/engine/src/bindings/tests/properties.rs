//! Order, no gap, no repeat, a handshake per bind, fair turns: for any sequence of inputs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append { number: u64, count: u64 },
    Bind { number: u64, token: u64, valid: u64, heartbeat: Option<u64> },
    Next,
    Remove { number: u64 },
    Revoke { token: u64 },
    Sent,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 1u64..5;
    let token = 1u64..4;
    prop_oneof![
        6 => (number.clone(), 1u64..6).prop_map(|(number, count)| Step::Append { number, count }),
        3 => (number.clone(), token.clone(), 1u64..300, proptest::option::of(1u64..60)).prop_map(
            |(number, token, valid, heartbeat)| Step::Bind { number, token, valid, heartbeat }
        ),
        10 => Just(Step::Next),
        1 => number.prop_map(|number| Step::Remove { number }),
        1 => token.prop_map(|token| Step::Revoke { token }),
        10 => Just(Step::Sent),
        4 => (0u64..30).prop_map(Step::Wait),
    ]
}

/// One subscription as the world outside the machine sees it.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    bound: bool,
    token: u64,
    ends: u64,
    heartbeat: Option<u64>,
    /// Handshakes owed.
    owed: bool,
    sent: u64,
    last: u64,
    written_at: u64,
    /// Frames of others since it last had work and no turn.
    waited: usize,
}

struct World {
    socket: Bindings,
    now: u64,
    seen: BTreeMap<u64, Seen>,
    under_way: Option<FrameIntent>,
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Append { number, count } => {
                let seen = self.seen.entry(number).or_default();
                seen.last += count;
                self.socket.appended(key(number), seen.last);
            }
            Step::Bind { number, token, valid, heartbeat } => {
                self.bind(number, token, valid, heartbeat);
            }
            Step::Next => self.next(),
            Step::Remove { number } => {
                self.socket.removed(key(number));
                self.seen.entry(number).or_default().bound = false;
            }
            Step::Revoke { token } => {
                self.socket.token_revoked(TokenId(token));
                for seen in self.seen.values_mut() {
                    seen.bound &= seen.token != token;
                }
            }
            Step::Sent => self.sent(),
            Step::Wait(seconds) => self.now += seconds,
        }
        let _close = self.socket.close(at(self.now));
        self.expire();
        let alive: Vec<_> = self
            .seen
            .iter()
            .filter(|(_, seen)| seen.bound)
            .map(|(number, _)| key(*number))
            .collect();
        assert_eq!(self.socket.subscriptions().collect::<Vec<_>>(), alive);
    }

    fn bind(&mut self, number: u64, token: u64, valid: u64, heartbeat: Option<u64>) {
        let grace = BindingSettings::default().expiry_grace.as_secs();
        let seen = self.seen.entry(number).or_default();
        let bound = Bound {
            token: TokenId(token),
            expires: at(self.now + valid),
            heartbeat_period: heartbeat.map(Duration::from_secs),
            cursor: EventNumber::new(seen.sent),
            ..bound(number, seen.last)
        };
        let written_at = if seen.bound { seen.written_at } else { self.now };
        let ends = self.now + valid + grace;
        // What is bound afresh waits from now on.
        let waited = if seen.bound { seen.waited } else { 0 };
        let owed = true;
        *seen = Seen { bound: true, token, ends, heartbeat, owed, written_at, waited, ..*seen };
        self.socket.bind(bound, at(self.now)).unwrap();
    }

    fn expire(&mut self) {
        for seen in self.seen.values_mut() {
            seen.bound &= self.now < seen.ends;
        }
    }

    fn next(&mut self) {
        let intent = self.socket.next_frame(at(self.now));
        self.expire();
        if self.under_way.is_some() {
            assert_eq!(intent, None, "one frame at a time");
            return;
        }
        let Some(intent) = intent else {
            let idle = |seen: &Seen| !seen.bound || (!seen.owed && seen.sent == seen.last);
            assert!(self.seen.values().all(idle), "work is left: {:?}", self.seen);
            return;
        };
        self.under_way = Some(intent);
        let number = intent.subscription.position().get();
        self.check(self.seen[&number], intent.kind);
        self.fairness(number);
        let seen = self.seen.get_mut(&number).unwrap();
        seen.owed &= intent.kind != FrameKind::Handshake;
    }

    fn check(&self, seen: Seen, kind: FrameKind) {
        assert!(seen.bound, "only what is bound is served");
        match kind {
            FrameKind::Events { first, last } => {
                assert!(!seen.owed, "the handshake comes first");
                assert_eq!(first.get(), seen.sent + 1, "in order, no gap, no repeat");
                assert!(last.get() <= seen.last && last.get() - first.get() < 2);
            }
            FrameKind::Handshake => assert!(seen.owed, "one handshake per bind"),
            FrameKind::Heartbeat => {
                let due = seen.heartbeat.map(|period| seen.written_at + period);
                assert!(due.is_some_and(|due| due <= self.now), "only after silence");
            }
        }
    }

    fn fairness(&mut self, served: u64) {
        let bound = self.seen.values().filter(|seen| seen.bound).count();
        for (number, seen) in &mut self.seen {
            let works = seen.bound && (seen.owed || seen.sent < seen.last);
            seen.waited = if works && *number != served { seen.waited + 1 } else { 0 };
            assert!(seen.waited <= bound.max(4), "{number} waits too long");
        }
    }

    fn sent(&mut self) {
        let moved = self.socket.frame_sent(at(self.now));
        let Some(intent) = self.under_way.take() else {
            assert_eq!(moved, None);
            return;
        };
        let seen = self.seen.get_mut(&intent.subscription.position().get()).unwrap();
        seen.written_at = self.now;
        if let FrameKind::Events { last, .. } = intent.kind {
            assert_eq!(moved.map(|moved| moved.cursor), Some(last));
            seen.sent = seen.sent.max(last.get());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_sequence_of_inputs_keeps_order_and_turns(
        steps in proptest::collection::vec(step(), 0..150),
    ) {
        let socket = Bindings::new(BindingSettings::default(), START);
        let mut world = World { socket, now: 0, seen: BTreeMap::new(), under_way: None };
        for step in steps {
            world.step(step);
        }
    }
}
