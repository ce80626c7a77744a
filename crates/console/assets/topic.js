"use strict";
// Has the server check a topic while it is written, and shows what it says.
(() => {
  const PAUSE_MS = 400;
  const form = document.querySelector("#topic");
  const result = document.querySelector("#check");
  let timer = 0;
  let latest = 0;

  const check = async () => {
    latest += 1;
    const asked = latest;
    const body = new URLSearchParams({
      csrf: form.elements.csrf.value,
      version: form.elements.version.value,
      resource: form.elements.resource.value,
    });
    const answer = await fetch(form.dataset.check, { method: "POST", body });
    const text = await answer.text();
    // An answer to what was written before is too late.
    if (answer.ok && asked === latest && result.innerHTML !== text) result.innerHTML = text;
  };

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_MS);
  });
})();
