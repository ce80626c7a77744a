/** FHIR versions in which subscriptions by topic exist. */
export type FhirVersion = "R4" | "R4B" | "R5";
export type NotificationType = "event-notification" | "handshake" | "heartbeat" | "query-event" | "query-status";
export type SubscriptionStatus = "active" | "entered-in-error" | "error" | "off" | "requested";
export type PayloadContent = "empty" | "id-only" | "full-resource";

export interface Reference {
  reference?: string;
  type?: string;
  identifier?: unknown;
  display?: string;
}

export interface Event {
  number: bigint;
  timestamp?: string;
  focus?: Reference;
  additionalContext: Reference[];
}

export interface Entry {
  fullUrl?: string;
  resource?: Record<string, unknown>;
  method?: string;
  url?: string;
}

export interface Notification {
  type: NotificationType;
  status?: SubscriptionStatus;
  subscription: string;
  topic?: string;
  eventsSinceSubscriptionStart?: bigint;
  events: Event[];
  errors: unknown[];
  entries: Entry[];
}

/** What was read is no notification. */
export class InvalidNotification extends Error {}
/** Reads a notification of any version. Throws `InvalidNotification`. */
export function parseNotification(bundle: string | object): Notification;
/** The resource that a reference is to, if it was sent along. */
export function resourceOf(notification: Notification, reference: Reference | undefined): Record<string, unknown> | undefined;

export interface Range {
  since: bigint;
  until: bigint;
}
export interface Limits {
  missingMax?: bigint | number;
  earlyMax?: number;
  page?: bigint | number;
}
export type EventStep = { type: "event"; event: Event; notification: Notification };
export type Step = EventStep | ({ type: "lost" } & Range);

/** Numbers that cannot be true. */
export class Fault extends Error {}
export class Sequence {
  constructor(options?: Limits & { after?: bigint });
  readonly cursor: bigint | undefined;
  readonly missing: bigint;
  take(notification: Notification): void;
  wanted(): Range | undefined;
  answered(notification: Notification): void;
  answeredWithNothing(): void;
  refused(): void;
  nextStep(): Step | undefined;
}

export class Backoff {
  constructor(first?: number, max?: number);
  readonly tries: number;
  reset(): void;
  next(chance?: number): number;
}

export interface Capabilities {
  version: FhirVersion;
  topics: string[];
  operations: string[];
}
export class RefusedError extends Error {
  readonly status: number;
  readonly issues: string[];
  readonly isTransient: boolean;
}
/** There was no answer, or only a part of one; `cause` is what `fetch` threw. */
export class UnreachableError extends Error {}
export class Client {
  constructor(base: string, options?: { token?: string; fetch?: typeof fetch; timeout?: number });
  readonly base: URL;
  capabilities(): Promise<Capabilities>;
  topics(of?: Partial<Capabilities>): Promise<string[]>;
  subscribe(resource: object): Promise<{ id: string } & Record<string, unknown>>;
  unsubscribe(id: string): Promise<void>;
  events(id: string, range: Range, content?: PayloadContent): Promise<Notification>;
  bindingToken(id: string): Promise<{ token: string; url: string; expiration?: Date }>;
  search(type: string, criteria?: Record<string, string>): Promise<Record<string, unknown>[]>;
  get(path: string): Promise<Record<string, unknown>>;
}
export function parseCapabilities(statement: object): Capabilities;
/** A Subscription resource, over a websocket unless an endpoint is given. */
export function subscription(
  version: FhirVersion,
  asked: {
    topic: string;
    /** Each `[Type?]parameter[:modifier]=value`, or several joined by `&`; percent-encoded. */
    filters?: string[];
    content?: PayloadContent;
    endpoint?: string;
    heartbeatPeriod?: number;
    maxCount?: number;
  },
): Record<string, unknown>;

export type Update =
  | Step
  | { type: "connected" | "heartbeat"; notification: Notification }
  | { type: "disconnected"; error: Error; delay: number }
  | ({ type: "recovering" } & Range)
  | { type: "renewed" };
export interface ListenerOptions {
  after?: bigint;
  limits?: Limits;
  content?: PayloadContent;
  retryDelay?: [number, number];
  triesMax?: number;
  silenceMax?: number;
  webSocket?: new (url: string) => WebSocket;
}
export class Listener implements AsyncIterable<Update> {
  constructor(client: Client, id: string, options?: ListenerOptions);
  readonly cursor: bigint | undefined;
  close(): void;
  [Symbol.asyncIterator](): AsyncIterator<Update>;
}

/** The id of a message that one of the keys signed, or nothing. */
export function verify(
  keys: Iterable<string>,
  headers: { get(name: string): string | null },
  body: string | Uint8Array,
  options?: { now?: number; tolerance?: number },
): Promise<string | undefined>;
