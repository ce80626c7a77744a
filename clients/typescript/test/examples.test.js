import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parseNotification, resourceOf } from "../src/index.js";

/** Not part of the repository; without it a test is skipped. */
const shared = new URL("../../../../shared/data/", import.meta.url);
const skip = existsSync(shared) || process.env.CI === "true" ? false : "shared/data is missing";
const read = (path) => parseNotification(readFileSync(new URL(path, shared), "utf8"));

test("the guide's examples say the same in R4 and R4B", { skip }, () => {
  for (const [name, type, status, count, numbers, entries] of [
    ["empty", "event-notification", "active", 2n, [2n], 0],
    ["error", "query-status", "error", 3n, [], 0],
    ["full-resource", "event-notification", "active", 2n, [2n], 1],
    ["handshake", "handshake", "requested", 0n, [], 0],
    ["heartbeat", "heartbeat", "active", 2n, [], 0],
    ["id-only", "event-notification", "active", 2n, [2n], 0],
    ["multi-resource", "event-notification", "active", 2n, [2n], 2],
  ]) {
    for (const version of ["r4", "r4b"]) {
      const one = read(`ig-1.1.0/r4b/Bundle-${version}-notification-${name}.json`);
      const seen = [one.type, one.status, one.eventsSinceSubscriptionStart, one.events.map((event) => event.number), one.entries.length];
      assert.deepEqual(seen, [type, status, count, numbers, entries], `${version} ${name}`);
    }
  }
});

test("the resources are found by their references, and R5's examples are read", { skip }, () => {
  const one = read("ig-1.1.0/r4b/Bundle-r4-notification-multi-resource.json");
  assert.equal(resourceOf(one, one.events[0].focus).resourceType, "Encounter");
  assert.equal(resourceOf(one, one.events[0].additionalContext[0]).resourceType, "Patient");
  for (const [name, type] of [
    ["handshake", "handshake"],
    ["heartbeat", "heartbeat"],
    ["full-resource", "event-notification"],
    ["query-event", "query-event"],
  ]) {
    assert.equal(read(`examples/R5/Bundle/notification-${name}.json`).type, type);
  }
  for (const name of ["r4__Bundle-notification-handshake", "r4__Bundle-notification-id", "r5__Bundle-notification-handshake"]) {
    assert.match(read(`topics/fhir-candle/tests__${name}.json`).subscription, /\/Subscription\//, name);
  }
});
