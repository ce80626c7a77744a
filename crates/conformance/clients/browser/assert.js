/** What the tests of the client library use of `node:assert/strict`, in a browser. */

function fail(message) {
  throw new Error(`assertion: ${message}`);
}

const shown = (value) => JSON.stringify(value, (_, one) => (typeof one === "bigint" ? `${one}n` : one));

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

/** `expected` is a class, or a function that says whether the error is right. */
function isExpected(error, expected) {
  if (expected === undefined) return true;
  return expected.prototype ? error instanceof expected : expected(error) === true;
}

export default {
  ok: (value, message) => value || fail(message ?? shown(value)),
  equal: (a, b, message) => Object.is(a, b) || fail(`${message}: ${shown(a)} is not ${shown(b)}`),
  deepEqual: (a, b, message) => same(a, b) || fail(`${message}: ${shown(a)} is not ${shown(b)}`),
  match: (text, pattern, message) => pattern.test(text) || fail(`${message}: ${text}`),
  throws(body, expected, message) {
    try {
      body();
    } catch (error) {
      return isExpected(error, expected) || fail(`${message}: another error, ${error}`);
    }
    return fail(`${message}: no error`);
  },
  async rejects(body, expected, message) {
    try {
      await (typeof body === "function" ? body() : body);
    } catch (error) {
      return isExpected(error, expected) || fail(`${message}: another error, ${error}`);
    }
    return fail(`${message}: no error`);
  },
};
