/** Notifications of all versions as one type: R4's Parameters, and SubscriptionStatus of R4B and R5. */

const TYPES = new Set(["event-notification", "handshake", "heartbeat", "query-event", "query-status"]);
const STATUSES = new Set(["active", "entered-in-error", "error", "off", "requested"]);
const LARGEST = 2n ** 64n - 1n;

/** What was read is no notification; its message holds nothing of it. */
export class InvalidNotification extends Error {
  constructor(what) {
    super(`${what} of the notification is missing or not valid`);
    this.name = "InvalidNotification";
  }
}

/** Reads a Bundle, given as text or as parsed JSON. */
export function parseNotification(bundle) {
  const json = typeof bundle === "string" ? parse(bundle) : bundle;
  const [first, ...others] = list(json?.entry);
  if (json?.resourceType !== "Bundle" || !first) throw new InvalidNotification("status");
  return { ...parseStatus(first.resource), entries: others.map(entry) };
}

/** Reads one status: Parameters or SubscriptionStatus. */
export function parseStatus(resource) {
  const read =
    resource?.resourceType === "Parameters"
      ? ofParameters(list(resource.parameter))
      : resource?.resourceType === "SubscriptionStatus"
        ? ofStatus(resource)
        : undefined;
  if (!read) throw new InvalidNotification("status");
  if (!TYPES.has(read.type)) throw new InvalidNotification("type");
  if (read.status !== undefined && !STATUSES.has(read.status)) throw new InvalidNotification("status");
  if (typeof read.subscription !== "string") throw new InvalidNotification("subscription");
  return { ...read, entries: [] };
}

/** Id of the subscription that a notification is about. */
export function subscriptionId(notification) {
  return notification.subscription.split("/_history/")[0].split("/").at(-1);
}

/** The resource that a reference is to, if it was sent along. */
export function resourceOf(notification, reference) {
  const literal = reference?.reference;
  if (typeof literal !== "string") return undefined;
  return notification.entries.find((one) => isOf(one.fullUrl, literal))?.resource;
}

function isOf(fullUrl, literal) {
  if (typeof fullUrl !== "string") return false;
  const [shorter, longer] = literal.length < fullUrl.length ? [literal, fullUrl] : [fullUrl, literal];
  return longer === shorter || (!shorter.includes(":") && longer.endsWith(`/${shorter}`));
}

function ofParameters(parameters) {
  const count = value(named(parameters, "events-since-subscription-start")[0]);
  return {
    type: value(named(parameters, "type")[0]),
    status: value(named(parameters, "status")[0]),
    subscription: reference(named(parameters, "subscription")[0])?.reference,
    topic: value(named(parameters, "topic")[0]),
    eventsSinceSubscriptionStart: optionalCount(count),
    events: named(parameters, "notification-event").map((event) => {
      const parts = list(event.part);
      return {
        number: eventNumber(value(named(parts, "event-number")[0])),
        timestamp: value(named(parts, "timestamp")[0]),
        focus: reference(named(parts, "focus")[0]),
        additionalContext: named(parts, "additional-context").map(reference),
      };
    }),
    errors: named(parameters, "error").map(value),
  };
}

function ofStatus(status) {
  return {
    type: status.type,
    status: status.status,
    subscription: status.subscription?.reference,
    topic: status.topic,
    eventsSinceSubscriptionStart: optionalCount(status.eventsSinceSubscriptionStart),
    events: list(status.notificationEvent).map((event) => ({
      number: eventNumber(event.eventNumber),
      timestamp: event.timestamp,
      focus: event.focus,
      additionalContext: list(event.additionalContext),
    })),
    errors: list(status.error),
  };
}

function entry(one) {
  return { fullUrl: one?.fullUrl, resource: one?.resource, method: one?.request?.method, url: one?.request?.url };
}

/** Numbers are text by the rule; many write JSON numbers. `undefined` if it is neither, or no 64-bit number. */
function number(sent) {
  const isText = typeof sent === "string" && /^[0-9]{1,20}$/.test(sent);
  const isNumber = typeof sent === "number" && Number.isSafeInteger(sent) && sent >= 0;
  if (!isText && !isNumber) return undefined;
  const read = BigInt(sent);
  return read <= LARGEST ? read : undefined;
}

function eventNumber(sent) {
  const read = number(sent);
  if (read === undefined || read === 0n) throw new InvalidNotification("eventNumber");
  return read;
}

function optionalCount(sent) {
  if (sent === undefined) return undefined;
  const read = number(sent);
  if (read === undefined) throw new InvalidNotification("eventsSinceSubscriptionStart");
  return read;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidNotification("JSON");
  }
}

const list = (of) => (Array.isArray(of) ? of : []);
const named = (parameters, name) => parameters.filter((one) => one?.name === name);

/** The value of a parameter, whatever its type. */
function value(parameter) {
  const member = Object.keys(parameter ?? {}).find((name) => name.startsWith("value"));
  return member === undefined ? undefined : parameter[member];
}

/** A parameter that is a reference; the reference implementation wrote text. */
function reference(parameter) {
  const sent = value(parameter);
  return typeof sent === "string" ? { reference: sent } : sent;
}
