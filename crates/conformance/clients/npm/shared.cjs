// What the scripts have in common. Each prints one line of JSON, or fails with a message.
"use strict";

// Waits for `found` to give something, asking after each time that `wake` is called.
function inbox() {
  const items = [];
  const waiting = [];
  return {
    push(item) {
      const next = waiting.shift();
      if (next) next(item);
      else items.push(item);
    },
    next() {
      if (items.length > 0) return Promise.resolve(items.shift());
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}

function check(isSo, text) {
  if (!isSo) throw new Error(text);
}

function run(main) {
  main().then(
    (result) => {
      console.log(JSON.stringify(result));
      process.exit(0);
    },
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { check, inbox, run };
