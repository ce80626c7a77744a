"use strict";
// Watches a subscription over a websocket: binds with the token that the server gave, shows what comes, and tells of
// event numbers that are missing.
(() => {
  const ROWS_MAX = 200;
  // The column of event numbers.
  const NUMBER = 2;
  const form = document.querySelector("#watch");
  const [start, stop, state, gaps] = ["#start", "#stop", "#state", "#gaps"].map((name) => document.querySelector(name));
  const rows = document.querySelector("#news tbody");
  let watched = null;

  const say = (text) => {
    state.textContent = text;
  };

  const fields = (more) => new URLSearchParams({ csrf: form.elements.csrf.value, ...more });

  const row = (cells, className) => {
    const line = rows.insertRow(0);
    line.className = className;
    for (const [index, cell] of cells.entries()) {
      const place = line.insertCell();
      if (index === NUMBER) place.className = "number";
      place.append(cell instanceof Node ? cell : String(cell));
    }
    while (rows.rows.length > ROWS_MAX) rows.deleteRow(-1);
  };

  const folded = (text) => {
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    const content = document.createElement("pre");
    summary.textContent = "bundle";
    content.textContent = text;
    details.append(summary, content);
    return details;
  };

  // The status of a notification, in the form of any version: { kind, count, events: [{ number, focus }] }.
  const read = (bundle) => {
    const status = bundle.entry[0].resource;
    if (status.resourceType === "SubscriptionStatus") {
      const events = (status.notificationEvent ?? []).map((event) => ({
        number: Number(event.eventNumber),
        focus: event.focus?.reference ?? "",
      }));
      return { kind: status.type, count: Number(status.eventsSinceSubscriptionStart ?? 0), events };
    }
    const value = (part) => {
      const key = Object.keys(part ?? {}).find((name) => name.startsWith("value"));
      return key ? part[key] : undefined;
    };
    const named = (parts, name) => (parts ?? []).filter((one) => one.name === name);
    const events = named(status.parameter, "notification-event").map((event) => ({
      number: Number(value(named(event.part, "event-number")[0])),
      focus: value(named(event.part, "focus")[0])?.reference ?? "",
    }));
    const count = Number(value(named(status.parameter, "events-since-subscription-start")[0]) ?? 0);
    return { kind: value(named(status.parameter, "type")[0]), count, events };
  };

  // Numbers between the last one and this are missing.
  const expect = (number) => {
    if (number > watched.last + 1) {
      const first = watched.last + 1;
      const text = first === number - 1 ? `Event ${first} is missing.` : `Events ${first} to ${number - 1} are missing.`;
      gaps.hidden = false;
      gaps.textContent = `${gaps.textContent} ${text}`.trim();
      row(["", "gap", first === number - 1 ? first : `${first}–${number - 1}`, text, ""], "gap");
    }
    watched.last = Math.max(watched.last, number);
  };

  const show = (text) => {
    const at = new Date().toISOString().slice(11, 23);
    const { kind, count, events } = read(JSON.parse(text));
    for (const { number, focus } of events) {
      const again = number <= watched.last;
      expect(number);
      row([at, again ? "again" : "event", number, focus.split("/").slice(-2).join("/"), folded(text)], "event");
    }
    if (events.length === 0) {
      // A handshake or heartbeat tells how many there have been.
      expect(count + 1);
      watched.last = count;
      row([at, kind, "", "", folded(text)], "quiet");
    }
  };

  const end = () => {
    if (!watched) return;
    const { version, id, socket } = watched;
    watched = null;
    socket?.close();
    navigator.sendBeacon(form.dataset.end, fields({ version, id }));
    start.disabled = false;
    stop.disabled = true;
  };

  const listen = ({ version, id, token, url }) => {
    // The same place as this page's, which the policy for scripts allows.
    const address = new URL(new URL(url).pathname, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    watched = { version, id, socket, last: 0 };
    socket.onopen = () => {
      socket.send(`bind-with-token ${token}`);
      say(`Watching as Subscription/${id}.`);
    };
    socket.onmessage = (event) => show(event.data);
    socket.onclose = (event) => {
      say(`The socket is closed (${event.code}${event.reason ? `: ${event.reason}` : ""}).`);
      end();
    };
  };

  // What the server has to say where it refuses.
  const refusal = async (answer) => {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return page.querySelector(".issues")?.textContent.trim() ?? "It was refused.";
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    start.disabled = true;
    gaps.hidden = true;
    gaps.textContent = "";
    rows.replaceChildren();
    say("Subscribing …");
    const body = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch(form.dataset.start, { method: "POST", body });
      if (!answer.ok) throw new Error(await refusal(answer));
      listen(await answer.json());
      stop.disabled = false;
    } catch (error) {
      say(`Not watching: ${error.message}`);
      start.disabled = false;
    }
  });
  stop.addEventListener("click", () => {
    end();
    say("Not watching.");
  });
  addEventListener("pagehide", end);
})();
