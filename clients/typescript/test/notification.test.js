import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidNotification, parseNotification } from "../src/index.js";

function bundle(members) {
  const status = {
    resourceType: "SubscriptionStatus",
    type: "event-notification",
    status: "active",
    subscription: { reference: "Subscription/a" },
    ...members,
  };
  return { resourceType: "Bundle", entry: [{ resource: status }] };
}

test("numbers are text or numbers and nothing else", () => {
  for (const [sent, expect] of [
    ["7", 7n],
    [7, 7n],
    ["18446744073709551615", 2n ** 64n - 1n],
    ["18446744073709551616", undefined],
    [2 ** 60, undefined],
    ["0", undefined],
    [-1, undefined],
    [1.5, undefined],
    ["", undefined],
    ["seven", undefined],
    [null, undefined],
  ]) {
    const of = bundle({ notificationEvent: [{ eventNumber: sent }] });
    if (expect === undefined) assert.throws(() => parseNotification(of), InvalidNotification, String(sent));
    else assert.equal(parseNotification(of).events[0].number, expect);
  }
});

test("what is no notification is told by element, without its content", () => {
  for (const one of [
    {},
    { resourceType: "Bundle" },
    bundle({ type: "marker" }),
    bundle({ status: "marker" }),
    bundle({ subscription: 1 }),
    bundle({ eventsSinceSubscriptionStart: "marker" }),
    "{marker",
  ]) {
    assert.throws(() => parseNotification(one), (error) => error instanceof InvalidNotification && !error.message.includes("marker"));
  }
});
