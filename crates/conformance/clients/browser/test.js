/** What the tests of the client library use of `node:test`, in a browser. */

const tests = [];

export function test(name, ...rest) {
  tests.push([name, rest.at(-1)]);
}

/** Runs all, one after the other: how many there are, and what failed. */
export async function run() {
  const failures = [];
  for (const [name, body] of tests) {
    try {
      await body();
    } catch (error) {
      failures.push(`${name}: ${error?.stack ?? error}`);
    }
  }
  return { count: tests.length, failures };
}
