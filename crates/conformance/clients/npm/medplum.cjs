// Medplum's client, as it comes: `subscribeToCriteria`, its pings, a token renewed, another connection,
// the end. Argument: the server's URL; its tokens end within five minutes, which is when the client
// renews them.
"use strict";

const { MedplumClient } = require("@medplum/core");
const { check, inbox, run } = require("./shared.cjs");

run(async () => {
  const medplum = new MedplumClient({ baseUrl: process.argv[2], fetch: globalThis.fetch });
  // It subscribes for who is logged in only, and logins are Medplum's own (docs/clients.md).
  medplum.getProfile = () => ({ resourceType: "Practitioner", id: "me" });
  const manager = medplum.getSubscriptionManager();
  const socket = manager.getWebSocket();
  let connections = 0;
  socket.addEventListener("open", () => (connections += 1));
  const tokens = [];
  const send = socket.send.bind(socket);
  socket.send = (text) => {
    const { type, payload } = JSON.parse(text);
    if (type === "bind-with-token") tokens.push(payload.token);
    send(text);
  };
  const events = inbox();
  const listen = (criteria) => {
    const emitter = medplum.subscribeToCriteria(criteria);
    for (const type of ["connect", "message", "error", "disconnect"]) {
      emitter.addEventListener(type, (event) => events.push({ type, payload: event.payload }));
    }
  };
  const next = async (type) => {
    const event = await events.next();
    check(event.type === type, `${type} was due, not ${JSON.stringify(event)}`);
    return event.payload;
  };
  const criteria = "Patient?family=Wanted";
  listen(criteria);
  const { subscriptionId } = await next("connect");

  await medplum.createResource({ resourceType: "Patient", name: [{ family: "Other" }] });
  const wanted = { resourceType: "Patient", name: [{ family: "Wanted" }] };
  const created = await medplum.createResource(wanted);
  const told = await next("message");
  const [status, resource] = told.entry.map((entry) => entry.resource);
  check(status.resourceType === "SubscriptionStatus", status.resourceType);
  check(status.subscription.reference === `Subscription/${subscriptionId}`, "the reference");
  check(resource.id === created.id, "the resource");

  // Its own ping, every 5 s: without an answer it opens another connection.
  const pong = inbox();
  socket.addEventListener("message", (event) => {
    if (JSON.parse(event.data).type === "pong") pong.push(true);
  });
  await pong.next();

  // Its own renewal, due each minute: another token for the same Subscription over the same socket.
  manager.checkTokenExpirations();
  const renewed = await next("connect");
  check(tokens.length === 2 && tokens[0] !== tokens[1], `${tokens.length} tokens`);
  check(connections === 1, `${connections} connections`);
  await medplum.updateResource({ ...created, gender: "other" });
  check((await next("message")).entry[1].resource.gender === "other", "the first update");

  // Another connection: it subscribes anew and binds with a new token.
  manager.reconnectWebSocket();
  const reconnected = await next("connect");
  check(connections === 2, `${connections} connections`);
  await medplum.updateResource({ ...created, active: true });
  const again = await next("message");
  check(again.entry[1].resource.active === true, "the second update");

  // One criteria of two ends, and the other goes on over the same socket. What ends is kept for ten
  // seconds, lest it be wanted again; they pass at once.
  const end = async (ended) => {
    medplum.unsubscribeFromCriteria(ended);
    const { now } = Date;
    Date.now = () => now() + 10_000;
    manager.gcUnrefEntries();
    Date.now = now;
    await next("disconnect");
  };
  listen("Observation");
  await next("connect");
  await end(criteria);
  await medplum.createResource(wanted);
  const observation = { resourceType: "Observation", status: "final", code: { text: "x" } };
  await medplum.createResource(observation);
  const last = await next("message");
  check(last.entry[1].resource.resourceType === "Observation", JSON.stringify(last));
  await end("Observation");
  const [renewedId, reconnectedId] = [renewed, reconnected].map((one) => one.subscriptionId);
  return { subscriptionId, renewed: renewedId, reconnected: reconnectedId };
});
