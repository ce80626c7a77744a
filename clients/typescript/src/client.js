/** Requests to one base of a FHIR server. */

import { parseNotification } from "./notification.js";

const GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
const CHANNEL_TYPES = "http://terminology.hl7.org/CodeSystem/subscription-channel-type";
const MIME_TYPE = "application/fhir+json";
const VERSIONS = { "4.0": "R4", 4.3: "R4B", "5.0": "R5" };
const PAGES_MAX = 10_000;

/** The server refused: `status` is the HTTP status, `issues` the texts of its OperationOutcome. */
export class RefusedError extends Error {
  constructor(status, issues) {
    super([`the server answered ${status}`, ...issues].join("\n  "));
    this.name = "RefusedError";
    this.status = status;
    this.issues = issues;
  }

  /** Whether trying again later may help. */
  get isTransient() {
    return [408, 425, 429, 500].includes(this.status) || this.status >= 502;
  }
}

/** There was no answer, or only a part of one; `cause` is what `fetch` threw. */
export class UnreachableError extends Error {
  constructor(cause) {
    super(`the server did not answer: ${cause.message}`, { cause });
    this.name = "UnreachableError";
  }
}

export class Client {
  #token;

  /**
   * `token` is a bearer token; `fetch` another implementation; `timeout` in milliseconds.
   * @param {string} base
   * @param {{ token?: string, fetch?: typeof globalThis.fetch, timeout?: number }} [options]
   */
  constructor(base, { token, fetch = globalThis.fetch, timeout = 60_000 } = {}) {
    this.base = new URL(base.endsWith("/") ? base : `${base}/`);
    this.timeout = timeout;
    /** @type {typeof globalThis.fetch} */
    this.fetch = (input, init) => fetch(input, init);
    this.#token = token;
  }

  async capabilities() {
    return parseCapabilities(await this.get("metadata"));
  }

  /**
   * Canonicals of the topics that are offered.
   * @param {Partial<import("./index.js").Capabilities>} [of]
   */
  async topics({ version, topics } = {}) {
    const found = version === "R4" ? [] : await this.search("SubscriptionTopic");
    return [...new Set([...(topics ?? []), ...found.map((topic) => topic.url).filter(Boolean)])];
  }

  /** Creates a Subscription, such as `subscription` makes; gives what the server made of it. */
  async subscribe(resource) {
    return this.send("POST", "Subscription", resource);
  }

  /** Deletes a subscription; that it is gone already is as good. */
  async unsubscribe(id) {
    try {
      await this.send("DELETE", `Subscription/${id}`);
    } catch (error) {
      if (![404, 410].includes(error.status)) throw error;
    }
  }

  /** Events by number, both ends included. */
  async events(id, { since, until }, content) {
    const level = content ? `&content=${content}` : "";
    const query = `eventsSinceNumber=${since}&eventsUntilNumber=${until}${level}`;
    return parseNotification(await this.get(`Subscription/${id}/$events?${query}`));
  }

  /** A token that binds a websocket: `token`, `expiration` (a Date, if told) and `url`. */
  async bindingToken(id) {
    const answer = await this.get(`Subscription/${id}/$get-ws-binding-token`);
    const value = (name) => {
      const found = (answer.parameter ?? []).find((parameter) => parameter.name === name) ?? {};
      return found[Object.keys(found).find((member) => member.startsWith("value"))];
    };
    const [token, url] = [value("token"), value("websocket-url")];
    if (!token || !url) throw new TypeError("the server's answer has no token, or no websocket-url");
    const expiration = new Date(value("expiration"));
    return { token, url, expiration: Number.isNaN(expiration.getTime()) ? undefined : expiration };
  }

  /** All resources that a search finds, page by page. */
  async search(type, criteria = {}) {
    const query = new URLSearchParams(criteria).toString();
    let url = new URL(query ? `${type}?${query}` : type, this.base);
    const found = [];
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const bundle = await this.send("GET", url);
      const entries = (bundle.entry ?? []).filter((entry) => entry.search?.mode !== "outcome");
      found.push(...entries.map((entry) => entry.resource));
      const next = (bundle.link ?? []).find((link) => link.relation === "next")?.url;
      if (!next) return found;
      url = new URL(next, url);
    }
    throw new TypeError("the pages of a search do not end");
  }

  async get(path) {
    return this.send("GET", path);
  }

  async send(method, path, body) {
    const url = new URL(path, this.base);
    const headers = { accept: MIME_TYPE };
    if (body) headers["content-type"] = MIME_TYPE;
    // The next page of a search may be anywhere; the token is this server's.
    if (this.#token && url.origin === this.base.origin) headers.authorization = `Bearer ${this.#token}`;
    const signal = AbortSignal.timeout(this.timeout);
    const { answer, text } = await this.#answer(url, { method, headers, body: body && JSON.stringify(body), signal });
    if (!answer.ok) throw new RefusedError(answer.status, issues(text));
    return text ? JSON.parse(text) : {};
  }

  /** What is thrown where there is no answer, or it ends early, differs between browsers and Node. */
  async #answer(url, request) {
    try {
      const answer = await this.fetch(url, request);
      return { answer, text: await answer.text() };
    } catch (error) {
      throw new UnreachableError(error);
    }
  }
}

/** What a server says it can do with subscriptions. */
export function parseCapabilities(statement) {
  const version = VERSIONS[/^(\d+\.\d+)/.exec(statement?.fhirVersion ?? "")?.[1]];
  if (statement?.resourceType !== "CapabilityStatement" || !version) {
    throw new TypeError("it is no CapabilityStatement of R4, R4B or R5");
  }
  const rest = (statement.rest ?? []).find((one) => one.mode === "server") ?? {};
  const entry = (rest.resource ?? []).find((one) => one.type === "Subscription") ?? {};
  const topic = `${GUIDE}/capabilitystatement-subscriptiontopic-canonical`;
  return {
    version,
    topics: (entry.extension ?? []).filter((one) => one.url === topic).map((one) => one.valueCanonical),
    operations: (entry.operation ?? []).map((one) => one.name.replace(/^\$/, "")),
  };
}

/**
 * A Subscription resource in a version's form, over a websocket unless an endpoint is given.
 * @param {import("./index.js").FhirVersion} version
 * @param {Parameters<typeof import("./index.js").subscription>[1]} asked
 * @returns {Record<string, unknown>}
 */
export function subscription(version, { topic, filters = [], content = "id-only", endpoint, heartbeatPeriod, maxCount }) {
  const code = endpoint ? "rest-hook" : "websocket";
  const defined = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
  const common = { resourceType: "Subscription", status: "requested", reason: "notifications by topic" };
  if (version === "R5") {
    return defined({
      ...common,
      topic,
      filterBy: filters.length ? filters.flatMap(filterBy) : undefined,
      channelType: { system: CHANNEL_TYPES, code },
      endpoint,
      heartbeatPeriod,
      contentType: MIME_TYPE,
      content,
      maxCount,
    });
  }
  const extension = (name, value) => ({ url: `${GUIDE}/${name}`, ...value });
  const criteria = filters.map((filter) => extension("backport-filter-criteria", { valueString: filter }));
  const bounds = [
    heartbeatPeriod && extension("backport-heartbeat-period", { valueUnsignedInt: heartbeatPeriod }),
    maxCount && extension("backport-max-count", { valuePositiveInt: maxCount }),
  ].filter(Boolean);
  return defined({
    ...common,
    criteria: topic,
    _criteria: criteria.length ? { extension: criteria } : undefined,
    channel: defined({
      extension: bounds.length ? bounds : undefined,
      type: code,
      endpoint,
      payload: MIME_TYPE,
      _payload: { extension: [extension("backport-payload-content", { valueCode: content })] },
    }),
  });
}

/** `[Type?]parameter[:modifier]=value`, or several joined by `&`, percent-encoded: as R5's elements. */
function filterBy(filters) {
  const [, type, pairs] = /^(?:(\w*)\?)?(.*)$/s.exec(filters);
  return pairs.split("&").map((pair) => {
    const [name, value] = pair.split(/=(.*)/s, 2).map(decoded);
    const read = /^(?:([A-Z]\w*)\.)?(.+?)(?::([^:./]+))?$/s.exec(name);
    if (!read || !value) throw new TypeError("a filter is [Type?]parameter[:modifier]=value");
    const [, typeOfPair, filterParameter, modifier] = read;
    const resourceType = type || typeOfPair;
    return { ...(resourceType && { resourceType }), filterParameter, ...(modifier && { modifier }), value };
  });
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function issues(text) {
  try {
    const told = (issue) => issue.details?.text ?? issue.diagnostics ?? issue.code;
    return (JSON.parse(text).issue ?? []).map(told).filter(Boolean).slice(0, 20);
  } catch {
    return [];
  }
}
