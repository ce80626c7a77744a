/** A subscription's events over a websocket, each once and in order, across broken connections. */

import { Backoff } from "./backoff.js";
import { RefusedError, UnreachableError } from "./client.js";
import { InvalidNotification, parseNotification, subscriptionId } from "./notification.js";
import { Sequence } from "./sequence.js";

const RENEWAL_MIN = 5_000;
const RENEWAL_MAX = 60 * 60_000;
const MARGIN = 60_000;
const FRAMES_MAX = 100_000;

/** When to get another token: before the old one ends, and never all the time. In milliseconds. */
export function renewalDelay(expiration, now = Date.now()) {
  if (!expiration) return RENEWAL_MAX;
  const left = Math.max(0, expiration.getTime() - now);
  return Math.min(Math.max(left - Math.min(MARGIN, left / 4), RENEWAL_MIN), RENEWAL_MAX);
}

/**
 * Iterate over it with `for await`. It gives `{ type }` objects: `event`, `lost`, `connected`, `disconnected`,
 * `recovering`, `renewed`, `heartbeat`. It throws what trying again does not help against. `close` ends it.
 */
export class Listener {
  #client;
  #id;
  #options;
  #sequence;
  #backoff;
  #socket;
  #url;
  #frames = [];
  #failure;
  #bound = false;
  #renewAt = Infinity;
  #heardAt = 0;
  #closed = false;
  #wake = () => {};

  /**
   * `after`: number of the last event that is known; without it, what comes from now on. `limits`: see `Sequence`.
   * `triesMax`: tries one after the other before it throws. `silenceMax`: milliseconds without a frame after
   * which the connection counts as broken; browsers cannot ping, so give it only with a heartbeat period.
   * @param {import("./client.js").Client} client
   * @param {string} id
   * @param {import("./index.js").ListenerOptions} [options]
   */
  constructor(client, id, options = {}) {
    const { after, limits, retryDelay = [500, 60_000] } = options;
    this.#client = client;
    this.#id = id;
    this.#options = { triesMax: Infinity, silenceMax: Infinity, webSocket: globalThis.WebSocket, ...options };
    this.#sequence = new Sequence({ after, ...limits });
    this.#backoff = new Backoff(...retryDelay);
  }

  /** Number of the last event given out or told lost: where to begin after a restart. */
  get cursor() {
    return this.#sequence.cursor;
  }

  /** Ends the iteration and the connection. */
  close() {
    this.#closed = true;
    this.#drop();
    this.#wake();
  }

  async *[Symbol.asyncIterator]() {
    try {
      while (!this.#closed) {
        const step = this.#sequence.nextStep();
        if (step) yield step;
        else yield* this.#advance();
      }
    } finally {
      this.#drop();
    }
  }

  async *#advance() {
    try {
      const wanted = this.#sequence.wanted();
      if (wanted) yield* this.#recover(wanted);
      else if (!this.#socket) await this.#connect();
      else yield* this.#hear();
    } catch (error) {
      this.#drop();
      if (!isTransient(error) || this.#backoff.tries >= this.#options.triesMax) throw error;
      const delay = this.#backoff.next();
      yield { type: "disconnected", error, delay };
      await this.#wait(delay);
    }
  }

  /** @param {import("./index.js").Range} range */
  async *#recover(range) {
    yield { type: "recovering", ...range };
    try {
      const answer = await this.#client.events(this.#id, range, this.#options.content);
      this.#backoff.reset();
      this.#sequence.answered(answer);
    } catch (error) {
      const isNothing = error instanceof RefusedError && [404, 422].includes(error.status);
      if (isNothing && this.#sequence.missing > range.until - range.since + 1n) this.#sequence.answeredWithNothing();
      else if (isFinal(error)) this.#sequence.refused();
      else throw error;
    }
  }

  async #connect() {
    const token = await this.#client.bindingToken(this.#id);
    const socket = new this.#options.webSocket(token.url);
    this.#socket = socket;
    this.#url = token.url;
    this.#bound = false;
    this.#failure = undefined;
    this.#frames = [];
    this.#heard();
    socket.onopen = () => socket.send(`bind-with-token ${token.token}`);
    socket.onmessage = ({ data }) => {
      this.#heard();
      if (this.#frames.length < FRAMES_MAX) this.#frames.push(data);
      else this.#fail(new TypeError("more frames than can be kept"));
      this.#wake();
    };
    socket.onclose = ({ code }) => this.#fail(new Disconnected(`closed with ${code}`), socket);
    socket.onerror = () => this.#fail(new Disconnected("failed"), socket);
    this.#renewAt = Date.now() + renewalDelay(token.expiration);
  }

  async *#hear() {
    const frame = this.#frames.shift();
    if (frame !== undefined) {
      yield* this.#take(frame);
    } else if (this.#failure) {
      throw this.#failure;
    } else if (Date.now() >= this.#renewAt) {
      await this.#renew();
      yield { type: "renewed" };
    } else if (Date.now() - this.#heardAt >= this.#options.silenceMax) {
      throw new Disconnected("the server is silent");
    } else {
      await this.#wait(Math.min(this.#renewAt, this.#heardAt + this.#options.silenceMax) - Date.now());
    }
  }

  async *#take(frame) {
    const notification = parseNotification(String(frame));
    if (subscriptionId(notification) !== this.#id) return;
    this.#sequence.take(notification);
    this.#backoff.reset();
    if (!this.#bound) {
      this.#bound = true;
      yield { type: "connected", notification };
    } else if (notification.type !== "event-notification") {
      yield { type: "heartbeat", notification };
    }
  }

  async #renew() {
    const token = await this.#client.bindingToken(this.#id);
    if (token.url !== this.#url) return this.#drop();
    this.#renewAt = Date.now() + renewalDelay(token.expiration);
    this.#socket?.send(`bind-with-token ${token.token}`);
  }

  #heard() {
    this.#heardAt = Date.now();
  }

  #fail(error, of = this.#socket) {
    if (of !== this.#socket) return;
    this.#failure ??= error;
    this.#wake();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket?.close();
  }

  /** Waits so long, or until something comes. */
  #wait(delay) {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      // Timers have 31 bits.
      const timer = setTimeout(resolve, Math.min(Math.max(delay, 0), 2 ** 31 - 1));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The websocket broke. */
class Disconnected extends Error {
  constructor(why) {
    super(`the websocket ended: ${why}`);
    this.name = "Disconnected";
  }
}

function isTransient(error) {
  if (error instanceof RefusedError) return error.isTransient;
  return error instanceof Disconnected || error instanceof UnreachableError;
}

/** Whether `$events` is refused, or answered with something else, for good; with another token it may be answered. */
function isFinal(error) {
  const isRefused = error instanceof RefusedError && !error.isTransient && ![401, 403].includes(error.status);
  return isRefused || error instanceof InvalidNotification || error instanceof SyntaxError;
}
