import assert from "node:assert/strict";
import { test } from "node:test";
import { verify } from "../src/index.js";

const KEY = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const AT = 1_614_265_330;
const encoder = new TextEncoder();
const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const content = (body) => encoder.encode(`m.${AT}.${body}`);
/** The signature of a body, with the cryptography that browsers and Node share. */
async function symmetric(body) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode("0123456789abcdef0123456789abcdef"), algorithm, false, ["sign"]);
  return `v1,${base64(await crypto.subtle.sign("HMAC", key, content(body)))}`;
}
const headers = (signature) => new Headers({ "webhook-id": "m", "webhook-timestamp": String(AT), "webhook-signature": signature });

test("the specification's example is valid", async () => {
  const given = new Headers({
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
  const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  assert.equal(await verify([key], given, '{"test": 2432232314}', { now: AT }), "msg_p5jXN8AQM9LWM0D4loKWxJek");
});

test("any known key may have signed, now, and nothing else is trusted", async () => {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const publicKey = `whpk_${base64(await crypto.subtle.exportKey("raw", pair.publicKey))}`;
  const asymmetric = `v1a,${base64(await crypto.subtle.sign("Ed25519", pair.privateKey, content("body")))}`;
  const both = `${await symmetric("body")} ${asymmetric}`;
  for (const [keys, signature, body, now, expect] of [
    [[KEY], both, "body", AT, "m"],
    [[publicKey], both, "body", AT, "m"],
    [[publicKey, KEY], await symmetric("body"), "body", AT, "m"],
    [[publicKey], await symmetric("body"), "body", AT, undefined],
    [[KEY], both, "bodx", AT, undefined],
    [[KEY], both, "body", AT + 300, "m"],
    [[KEY], both, "body", AT + 301, undefined],
    [[KEY], both, "body", AT - 301, undefined],
    [[], both, "body", AT, undefined],
    [[KEY], "v1,%%", "body", AT, undefined],
    [[KEY], `${"v1,AAAA ".repeat(16)}${both}`, "body", AT, undefined],
  ]) {
    assert.equal(await verify(keys, headers(signature), body, { now }), expect, `${signature} ${body} ${now}`);
  }
  assert.equal(await verify([KEY], new Headers(), "body", { now: AT }), undefined);
  await assert.rejects(verify(["whsec_AAAA"], headers(both), "body", { now: AT }), TypeError);
});
