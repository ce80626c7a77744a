import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, RefusedError, parseCapabilities, subscription } from "../src/index.js";

const TOPIC = "http://example.org/topic";

test("a subscription has the form of each version", () => {
  const asked = { topic: TOPIC, filters: ["Encounter?patient=Patient/1", "code:in=http://v"], content: "empty", heartbeatPeriod: 60 };
  for (const version of ["R4", "R4B"]) {
    const made = subscription(version, asked);
    assert.equal(made.criteria, TOPIC);
    assert.deepEqual(made._criteria.extension.map((one) => one.valueString), asked.filters);
    assert.equal(made.channel._payload.extension[0].valueCode, "empty");
    assert.equal(made.channel.extension[0].valueUnsignedInt, 60);
  }
  const made = subscription("R5", asked);
  assert.deepEqual([made.topic, made.content, made.channelType.code], [TOPIC, "empty", "websocket"]);
  assert.deepEqual(made.filterBy, [
    { resourceType: "Encounter", filterParameter: "patient", value: "Patient/1" },
    { filterParameter: "code", modifier: "in", value: "http://v" },
  ]);
  assert.equal(subscription("R5", { topic: TOPIC, endpoint: "http://h" }).channelType.code, "rest-hook");
});

test("a text of filters has the same meaning in each version", () => {
  const made = (filters) => subscription("R5", { topic: TOPIC, filters }).filterBy;
  assert.deepEqual(made(["Encounter?status=in-progress&class=urn:x%7CIMP"]), [
    { resourceType: "Encounter", filterParameter: "status", value: "in-progress" },
    { resourceType: "Encounter", filterParameter: "class", value: "urn:x|IMP" },
  ]);
  assert.deepEqual(made(["code=a%26b%3D%2Cc+d", "?patient:Patient.name=50%", "Encounter.code:in=http://v?x=y"]), [
    { filterParameter: "code", value: "a&b=,c+d" },
    { filterParameter: "patient:Patient.name", value: "50%" },
    { resourceType: "Encounter", filterParameter: "code", modifier: "in", value: "http://v?x=y" },
  ]);
  for (const text of ["", "a", "=b", "a=", "a=b&c"]) assert.throws(() => made([text]), TypeError, text);
});

test("capabilities are read however operations are named", () => {
  const resource = [{ type: "Subscription", operation: [{ name: "$status" }, { name: "events" }] }];
  const statement = { resourceType: "CapabilityStatement", fhirVersion: "4.3.0", rest: [{ mode: "server", resource }] };
  assert.deepEqual(parseCapabilities(statement), { version: "R4B", topics: [], operations: ["status", "events"] });
  assert.throws(() => parseCapabilities({ ...statement, fhirVersion: "3.0.2" }), TypeError);
});

test("a search follows its pages, and the token stays with its server", async () => {
  const seen = [];
  const fetch = async (url, { headers }) => {
    seen.push([String(url), headers.authorization]);
    const link = seen.length === 1 ? [{ relation: "next", url: "http://other/page2" }] : [];
    return new Response(JSON.stringify({ entry: [{ resource: { url: `t${seen.length}` } }], link }));
  };
  const client = new Client("http://h/fhir", { fetch, token: "secret" });
  assert.deepEqual(await client.topics({ version: "R5" }), ["t1", "t2"]);
  assert.deepEqual(seen, [["http://h/fhir/SubscriptionTopic", "Bearer secret"], ["http://other/page2", undefined]]);
});

test("a refusal has its status and the texts of its outcome", async () => {
  const outcome = { resourceType: "OperationOutcome", issue: [{ details: { text: "no such topic" } }] };
  const fetch = async () => new Response(JSON.stringify(outcome), { status: 422 });
  const client = new Client("http://h", { fetch });
  await assert.rejects(client.subscribe({}), (error) => error instanceof RefusedError && error.status === 422 && error.issues[0] === "no such topic");
  await new Client("http://h", { fetch: async () => new Response("", { status: 404 }) }).unsubscribe("a");
});
