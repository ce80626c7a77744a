/**
 * Which events are new, which are missing, and what to ask for: pure decisions on numbers.
 *
 * The same machine as `Sequence` of the Rust library; both have the same tests.
 */

/** Numbers that cannot be true. The sequence is as it was before. */
export class Fault extends Error {
  constructor(message) {
    super(message);
    this.name = "Fault";
  }
}

export class Sequence {
  /**
   * Begins behind the event `after`, or with what comes from now on.
   * `missingMax`: most events that may be missing at once; `earlyMax`: most kept that came before others;
   * `page`: most asked for in one request, doubled after each answer without any.
   * @param {import("./index.js").Limits & { after?: bigint }} [options]
   */
  constructor({ after, missingMax = 1_000_000n, earlyMax = 1000, page = 100n } = {}) {
    this.cursor = after;
    this.limits = { missingMax: BigInt(missingMax), earlyMax: Math.max(1, earlyMax), page: atLeastOne(BigInt(page)) };
    this.known = after ?? 0n;
    this.early = new Map();
    this.steps = [];
    this.asked = undefined;
    this.page = this.limits.page;
  }

  /** How many events are known to be missing. */
  get missing() {
    return this.known - (this.cursor ?? this.known) - BigInt(this.early.size);
  }

  /** Takes a notification of the subscription; throws a `Fault`, and takes nothing, if its numbers cannot be true. */
  take(notification) {
    const numbers = notification.events.map((event) => event.number);
    const told = max([...numbers, notification.eventsSinceSubscriptionStart]);
    if (told === undefined) return;
    const lowest = min(numbers);
    const isEvent = notification.type === "event-notification" && lowest !== undefined;
    const cursor = this.cursor ?? (isEvent ? lowest - 1n : told);
    if (told - cursor > this.limits.missingMax) {
      throw new Fault(`the server tells of event ${told} after event ${cursor}, more than ${this.limits.missingMax} ahead`);
    }
    if (notification.type === "handshake" && told < cursor) {
      throw new Fault(`the server tells of ${told} events after it had told of event ${cursor}`);
    }
    this.cursor = cursor;
    this.known = max([this.known, told, cursor]);
    this.#keep(notification);
    this.#advance();
  }

  /** What to ask `$events` for, `{ since, until }`, both included; the same until the answer is given. */
  wanted() {
    if (!this.asked && this.cursor !== undefined) {
      const since = this.cursor + 1n;
      const first = min([...this.early.keys()]);
      const until = first === undefined ? this.known : first - 1n;
      if (since <= until) this.asked = { since, until: min([until, since + this.page - 1n]) };
    }
    return this.asked;
  }

  /** Takes the answer to what was wanted; what it does not have is told as lost. */
  answered(notification) {
    const asked = this.asked;
    if (!asked) return;
    this.asked = undefined;
    const cursor = this.cursor ?? 0n;
    const brings = notification.events.some(
      ({ number }) => number > cursor && number >= asked.since && number <= asked.until,
    );
    let taken = false;
    try {
      this.take(notification);
      taken = true;
    } finally {
      if (brings && taken) this.page = this.limits.page;
      else this.#nothing(asked);
    }
  }

  /** The answer to what was wanted is that there are no such events. */
  answeredWithNothing() {
    const asked = this.asked;
    this.asked = undefined;
    if (asked) this.#nothing(asked);
  }

  /** The server answers no `$events`: all that is missing before the first event that is there is lost. */
  refused() {
    if (!this.asked) return;
    this.asked = undefined;
    this.#giveUp(this.known);
  }

  /** The next decision: `{ type: "event", event, notification }` or `{ type: "lost", since, until }`. */
  nextStep() {
    return this.steps.shift();
  }

  #nothing(asked) {
    this.page *= 2n;
    this.#giveUp(asked.until);
  }

  #keep(notification) {
    for (const event of notification.events) {
      if (event.number > this.cursor && !this.early.has(event.number)) {
        this.early.set(event.number, { type: "event", event, notification });
        this.#advance();
      }
      while (this.early.size > this.limits.earlyMax) this.early.delete(max([...this.early.keys()]));
    }
  }

  #advance() {
    for (let next = this.cursor + 1n; this.early.has(next); next += 1n) {
      this.steps.push(this.early.get(next));
      this.early.delete(next);
      this.cursor = next;
    }
    if (this.asked && this.asked.until <= this.cursor) this.asked = undefined;
  }

  #giveUp(end) {
    const since = (this.cursor ?? 0n) + 1n;
    const first = min([...this.early.keys()]);
    const until = first === undefined ? end : min([end, first - 1n]);
    if (since <= until) {
      this.steps.push({ type: "lost", since, until });
      this.cursor = until;
      this.#advance();
    }
  }
}

const atLeastOne = (number) => (number < 1n ? 1n : number);
const pick = (better) => (numbers) =>
  numbers.reduce((best, one) => (one !== undefined && (best === undefined || better(one, best)) ? one : best), undefined);
const max = pick((one, best) => one > best);
const min = pick((one, best) => one < best);
