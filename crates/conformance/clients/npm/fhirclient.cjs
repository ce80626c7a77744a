// SMART's JavaScript client, as it comes: create, search, page, subscribe, receive.
// Arguments: URL of the base, the Subscription as JSON.
"use strict";

const smart = require("fhirclient");
const { check, inbox, run } = require("./shared.cjs");

run(async () => {
  const [serverUrl, subscription] = process.argv.slice(2);
  const request = { headers: { host: "localhost" }, url: "/", socket: {} };
  const client = smart(request, {}, {}).client({ serverUrl });
  const ids = [];
  for (let number = 0; number < 5; number++) {
    const patient = { resourceType: "Patient", gender: "other", active: true };
    ids.push((await client.create(patient)).id);
  }
  const found = await client.request("Patient?gender=other&_count=2", { pageLimit: 0, flat: true });
  check(found.length === 5, `${found.length} found`);
  check(ids.every((id) => found.some((one) => one.id === id)), "all are found");
  const updated = await client.update({ ...found[0], active: false });
  check(updated.meta.versionId === "2", "a version");

  const { id } = await client.create(JSON.parse(subscription));
  const answer = await client.request(`Subscription/${id}/$get-ws-binding-token`);
  const value = (name) => answer.parameter.find((one) => one.name === name);
  const frames = inbox();
  const socket = new WebSocket(value("websocket-url").valueUrl);
  socket.onmessage = (event) => frames.push(JSON.parse(event.data));
  socket.onopen = () => socket.send(`bind-with-token ${value("token").valueString}`);
  await frames.next();
  await client.create({ resourceType: "Patient", name: [{ family: "Told" }] });
  const told = await frames.next();
  await client.delete(`Patient/${ids[0]}`);
  const deleted = await frames.next();
  socket.close();
  return { told, deleted };
});
