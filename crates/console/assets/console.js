"use strict";
// Renews the parts of a page that the server sends anew, and keeps the focus where it was.
for (const area of document.querySelectorAll("[data-stream]")) {
  const source = new EventSource(area.dataset.stream);
  const state = area.querySelector(".stream-state");
  for (const part of area.querySelectorAll("[data-part]")) {
    source.addEventListener(part.dataset.part, (event) => {
      if (part.innerHTML === event.data) return;
      const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      // Made by the server's templates, which escape what they show.
      part.innerHTML = event.data;
      if (focused) [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
    });
  }
  source.onopen = () => {
    state.textContent = "Live.";
  };
  source.onerror = () => {
    state.textContent = "Not live: the connection to the server is broken. Load the page again.";
  };
  addEventListener("pagehide", () => source.close());
}
