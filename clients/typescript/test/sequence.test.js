import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, Sequence } from "../src/index.js";

function notification(type, count, numbers = []) {
  return {
    type,
    subscription: "Subscription/a",
    eventsSinceSubscriptionStart: count === undefined ? undefined : BigInt(count),
    events: numbers.map((number) => ({ number: BigInt(number), additionalContext: [] })),
    errors: [],
    entries: [],
  };
}
const events = (...numbers) => notification("event-notification", Math.max(...numbers), numbers);
const handshake = (count) => notification("handshake", count);
const answer = (count, ...numbers) => notification("query-event", count, numbers);
const sequence = (after) => new Sequence({ after, missingMax: 50n, earlyMax: 4, page: 3n });

/** What was decided since: numbers as they are, lost ones negative. */
function decided(of) {
  const all = [];
  for (let step = of.nextStep(); step; step = of.nextStep()) {
    if (step.type === "event") all.push(Number(step.event.number));
    else for (let number = step.since; number <= step.until; number += 1n) all.push(-Number(number));
  }
  return all;
}
const wanted = (of) => of.wanted() && [Number(of.wanted().since), Number(of.wanted().until)];

test("each event comes once and in order, and what is missing is wanted", () => {
  for (const [after, notifications, expect, range] of [
    [0n, [events(1), events(2, 3)], [1, 2, 3]],
    [0n, [events(2, 1), events(1, 2, 3)], [1, 2, 3]],
    [0n, [events(1), events(3), events(2)], [1, 2, 3]],
    [0n, [events(1), events(4)], [1], [2, 3]],
    [0n, [handshake(5)], [], [1, 3]],
    [4n, [handshake(5), events(5)], [5]],
    [undefined, [handshake(7), events(8)], [8]],
    [undefined, [events(7, 8)], [7, 8]],
    [undefined, [], []],
    [0n, [notification("heartbeat")], []],
    [0n, [events(2, 3, 4, 5, 6, 7), events(1)], [1, 2, 3, 4, 5], [6, 7]],
  ]) {
    const of = sequence(after);
    notifications.forEach((one) => of.take(one));
    assert.deepEqual([decided(of), wanted(of)], [expect, range]);
  }
});

test("what the server does not give is lost and told", () => {
  const of = sequence(0n);
  of.take(events(9));
  assert.deepEqual(wanted(of), [1, 3]);
  of.answered(answer(9, 2));
  assert.deepEqual(wanted(of), [1, 1]);
  of.answered(answer(9));
  assert.deepEqual(decided(of), [-1, 2]);
  assert.deepEqual(wanted(of), [3, 8]);
  of.refused();
  assert.deepEqual(decided(of), [-3, -4, -5, -6, -7, -8, 9]);
  assert.deepEqual([wanted(of), of.cursor, of.missing], [undefined, 9n, 0n]);
});

test("numbers that cannot be true are faults and change nothing", () => {
  const of = sequence(10n);
  assert.throws(() => of.take(events(11, 61)), Fault);
  assert.throws(() => of.take(handshake(9)), Fault);
  assert.deepEqual([decided(of), wanted(of)], [[], undefined]);
  of.take(events(11));
  assert.deepEqual(decided(of), [11]);
});

/** Numbers that look like chance and are the same in each run. */
function chance(seed) {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test("no server, honest or not, makes it repeat, skip or ask for ever", () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const random = chance(seed * 7919);
    const isHonest = seed % 2 === 0;
    const of = sequence(0n);
    let [last, highest] = [0, 0];
    for (let turn = 0; turn < 30; turn += 1) {
      const number = 1 + random(isHonest ? 40 : 120);
      const kind = ["event-notification", "heartbeat", "handshake"][isHonest ? 0 : random(3)];
      highest = Math.max(highest, number);
      try {
        of.take(notification(kind, number, random(2) || isHonest ? [number] : []));
      } catch (error) {
        assert.ok(error instanceof Fault && !isHonest, error);
      }
      for (let asked = 0; of.wanted(); asked += 1) {
        assert.ok(asked < 250, "endless");
        const { since, until } = of.wanted();
        const all = Array.from({ length: Number(until - since) + 1 }, (_, index) => Number(since) + index);
        const given = isHonest ? all.slice(0, 1 + random(3)) : [1 + random(120)];
        try {
          of.answered(answer(isHonest ? highest : random(120), ...given));
        } catch (error) {
          assert.ok(error instanceof Fault && !isHonest, error);
        }
      }
      for (const one of decided(of)) {
        assert.equal(Math.abs(one), last + 1);
        assert.ok(one > 0 || !isHonest, "an honest server loses none");
        last += 1;
      }
      assert.equal(of.cursor, BigInt(last));
      assert.ok(of.early.size <= 4);
    }
  }
});
