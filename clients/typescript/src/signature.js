/** Signatures of the Standard Webhooks specification, with the platform's Web Cryptography. */

const SIGNATURES_MAX = 16;
const encoder = new TextEncoder();

/**
 * The id of a message if one of the keys (`whsec_…` or `whpk_…`) signed it not too long ago, else `undefined`.
 * `headers` is a `Headers` or anything with `get`; `body` the bytes or the text as they came.
 */
export async function verify(keys, headers, body, { now = Date.now() / 1000, tolerance = 300 } = {}) {
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  const signatures = headers.get("webhook-signature")?.split(" ").slice(0, SIGNATURES_MAX);
  if (!id || !signatures || !/^[0-9]{1,15}$/.test(timestamp ?? "")) return undefined;
  if (Math.abs(now - Number(timestamp)) > tolerance) return undefined;
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const head = encoder.encode(`${id}.${timestamp}.`);
  const content = new Uint8Array(head.length + bytes.length);
  content.set(head);
  content.set(bytes, head.length);
  for (const key of keys) {
    const [version, algorithm, imported] = await importKey(key);
    for (const signature of signatures) {
      const [of, text] = signature.split(",");
      const decoded = of === version ? decode(text ?? "") : undefined;
      if (decoded && (await crypto.subtle.verify(algorithm, imported, decoded, content))) return id;
    }
  }
  return undefined;
}

/**
 * The version of a key's signatures, the algorithm, and the key itself.
 * @param {string} key
 * @returns {Promise<[string, string, CryptoKey]>}
 */
async function importKey(key) {
  const bytes = decode(key.slice(key.indexOf("_") + 1));
  if (key.startsWith("whsec_") && bytes?.length >= 24 && bytes.length <= 64) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    return ["v1", "HMAC", await crypto.subtle.importKey("raw", bytes, algorithm, false, ["verify"])];
  }
  if (key.startsWith("whpk_") && bytes?.length === 32) {
    return ["v1a", "Ed25519", await crypto.subtle.importKey("raw", bytes, "Ed25519", false, ["verify"])];
  }
  throw new TypeError("a key is whsec_ with 24 to 64 bytes in base64, or whpk_ with an Ed25519 key in base64");
}

function decode(text) {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}
