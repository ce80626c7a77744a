import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, Fault, Listener, RefusedError, UnreachableError } from "../src/index.js";
import { renewalDelay } from "../src/listener.js";

function notification(type, count, numbers = []) {
  const status = {
    resourceType: "SubscriptionStatus",
    type,
    status: "active",
    subscription: { reference: "http://h/Subscription/a" },
    eventsSinceSubscriptionStart: String(count),
    notificationEvent: numbers.map((number) => ({ eventNumber: String(number) })),
  };
  return { resourceType: "Bundle", entry: [{ resource: status }] };
}
const handshake = (count) => notification("handshake", count);
const event = (number) => notification("event-notification", number, [number]);

/**
 * A server: what it sends over one connection after another, each broken after that but the last; `events` gives the
 * numbers for a range, or a status.
 */
function server(connections, events, lifetime = 3_600_000) {
  const asked = [];
  const left = [...connections];
  let tokens = 0;
  const answer = (path) => {
    if (path.endsWith("$get-ws-binding-token")) {
      tokens += 1;
      const expiration = new Date(Date.now() + lifetime).toISOString();
      const parameter = [
        { name: "token", valueString: "t" },
        { name: "expiration", valueDateTime: expiration },
        { name: "websocket-url", valueUrl: "ws://h/ws" },
      ];
      return { parameter };
    }
    const [, since, until] = /eventsSinceNumber=(\d+)&eventsUntilNumber=(\d+)/.exec(path) ?? [];
    if (since === undefined) return 404;
    asked.push([Number(since), Number(until)]);
    const given = events(Number(since), Number(until));
    return typeof given === "number" ? given : notification("query-event", until, given);
  };
  const fetch = async (url) => {
    const given = answer(String(url));
    return typeof given === "number" ? new Response("", { status: given }) : new Response(JSON.stringify(given));
  };
  class Socket {
    constructor() {
      queueMicrotask(() => this.onopen?.());
    }

    send(text) {
      assert.equal(text, "bind-with-token t");
      const frames = left.shift() ?? [];
      for (const frame of frames) queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(frame) }));
      if (left.length) queueMicrotask(() => this.onclose?.({ code: 1006 }));
    }

    close() {}
  }
  const client = new Client("http://h", { fetch });
  const options = { webSocket: Socket, retryDelay: [1, 2], triesMax: 20, limits: { missingMax: 50, earlyMax: 10, page: 4 } };
  return { client, options, asked, tokens: () => tokens };
}

/** The numbers up to this one, lost ones negative, and the error before. */
async function numbers({ client, options }, last, after = 0n) {
  const seen = [];
  try {
    for await (const update of new Listener(client, "a", { after, ...options })) {
      if (update.type === "event") seen.push(Number(update.event.number));
      if (update.type === "lost") for (let one = update.since; one <= update.until; one += 1n) seen.push(-Number(one));
      if (Math.abs(seen.at(-1)) >= last) break;
    }
    return [seen, undefined];
  } catch (error) {
    return [seen, error];
  }
}
const range = (since, until, most = 100) => Array.from({ length: Math.min(until - since + 1, most) }, (_, index) => since + index);

test("events of broken connections are recovered page by page", async () => {
  const script = [[handshake(0), event(1)], [], [handshake(1), event(2), event(9)], [event(1), handshake(12), event(13)]];
  const of = server(script, (since, until) => range(since, until, 3));
  const [seen, error] = await numbers(of, 13);
  assert.deepEqual([seen, error], [range(1, 13), undefined]);
  assert.deepEqual(of.asked.slice(0, 2), [[3, 6], [6, 8]]);
});

test("what the server has no more is told as lost", async () => {
  const of = server([[handshake(6), event(7)]], (since, until) => range(Math.max(since, 4), until));
  assert.deepEqual(await numbers(of, 7), [[-1, -2, -3, 4, 5, 6, 7], undefined]);
});

test("a server that answers no $events is asked a bounded number of times", async () => {
  for (const status of [400, 404, 422, 501]) {
    const of = server([[handshake(40), event(41)]], () => status);
    const [seen] = await numbers(of, 41);
    assert.equal(seen.filter((number) => number < 0).length, 40, status);
    assert.ok(of.asked.length <= 5, `${of.asked}`);
  }
  const of = server([[handshake(40), event(41)]], () => 503);
  const [, error] = await numbers(of, 41);
  assert.ok(error instanceof RefusedError && error.status === 503, error);
  assert.equal(of.asked.length, 21);
});

test("what a token does not allow is an error, and nothing is lost", async () => {
  for (const status of [401, 403]) {
    const of = server([[handshake(0), event(1), event(4)]], () => status);
    const [seen, error] = await numbers(of, 4);
    assert.deepEqual([seen, error?.status], [[1], status]);
    assert.equal(of.asked.length, 1);
  }
});

test("a server that lies about numbers is told as an error", async () => {
  for (const lie of [event("18446744073709551615"), handshake(0)]) {
    const of = server([[handshake(0), event(1), lie]], () => 404);
    const [seen, error] = await numbers(of, 2);
    assert.deepEqual(seen, [1]);
    assert.ok(error instanceof Fault, error);
    assert.deepEqual(of.asked, []);
  }
});

test("a server that is never there is an error after so many tries, and one that is gone at once", async () => {
  const of = server(Array(30).fill([]), () => []);
  const [, error] = await numbers(of, 1);
  assert.equal(error?.name, "Disconnected");
  assert.equal(of.tokens(), 21);
  const [, gone] = await numbers({ ...of, client: new Client("http://h", { fetch: async () => new Response("", { status: 404 }) }) }, 1);
  assert.equal(gone?.status, 404);
});

test("no answer is tried again, whatever it is called by the browser", async () => {
  const thrown = [
    new TypeError("fetch failed", { cause: new Error("ECONNREFUSED") }),
    new TypeError("Failed to fetch"),
    new TypeError("network error"),
    new TypeError("NetworkError when attempting to fetch resource."),
    new TypeError("Load failed"),
    new DOMException("The operation was aborted due to timeout", "TimeoutError"),
  ];
  for (const error of thrown) {
    const of = server([[handshake(0), event(1)]], () => []);
    const { fetch } = of.client;
    const half = new ReadableStream({ pull: (controller) => controller.error(error) });
    const broken = [() => Promise.reject(error), () => new Response(half)];
    of.client.fetch = async (url) => (broken.length ? broken.shift()() : fetch(url));
    assert.deepEqual(await numbers(of, 1), [[1], undefined], error.message);
    assert.equal(broken.length, 0);
  }
  const of = server([], () => []);
  of.client.fetch = () => Promise.reject(thrown[0]);
  const [, error] = await numbers(of, 1);
  assert.ok(error instanceof UnreachableError && error.cause === thrown[0], error);
});

test("a token is renewed before its end and never all the time", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  for (const [expiration, seconds] of [
    ["2026-01-01T00:10:00Z", 540],
    ["2026-01-01T00:00:40Z", 30],
    ["2025-01-01T00:00:00Z", 5],
    ["2099-01-01T00:00:00Z", 3600],
  ]) {
    assert.equal(renewalDelay(new Date(expiration), now), seconds * 1000, expiration);
  }
  assert.equal(renewalDelay(undefined, now), 3_600_000);
});
