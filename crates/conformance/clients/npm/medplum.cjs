// Medplum's client, as it comes: `subscribeToCriteria`, its pings, another connection, the end.
// Argument: the server's URL.
"use strict";

const { MedplumClient } = require("@medplum/core");
const { check, inbox, run } = require("./shared.cjs");

run(async () => {
  const medplum = new MedplumClient({ baseUrl: process.argv[2], fetch: globalThis.fetch });
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
  const socket = medplum.getSubscriptionManager().getWebSocket();
  const pong = inbox();
  socket.addEventListener("message", (event) => {
    if (JSON.parse(event.data).type === "pong") pong.push(true);
  });
  await pong.next();

  // Another connection: it subscribes anew and binds with a new token.
  medplum.getSubscriptionManager().reconnectWebSocket();
  const renewed = await next("connect");
  await medplum.updateResource({ ...created, active: true });
  const again = await next("message");
  check(again.entry[1].resource.active === true, "the update");

  // One criteria of two ends, and the other goes on over the same socket.
  listen("Observation");
  await next("connect");
  medplum.unsubscribeFromCriteria(criteria);
  await next("disconnect");
  await medplum.createResource(wanted);
  const observation = { resourceType: "Observation", status: "final", code: { text: "x" } };
  await medplum.createResource(observation);
  const last = await next("message");
  check(last.entry[1].resource.resourceType === "Observation", JSON.stringify(last));
  medplum.unsubscribeFromCriteria("Observation");
  await next("disconnect");
  return { subscriptionId, renewed: renewed.subscriptionId };
});
