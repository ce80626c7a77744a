/** Checked by the compiler and never run: what is declared is what the modules have, and programs can be written with it. */

import type * as declared from "../src/index.js";
import { Backoff } from "../src/backoff.js";
import { Client, RefusedError, UnreachableError, parseCapabilities, subscription } from "../src/client.js";
import { Listener } from "../src/listener.js";
import { InvalidNotification, parseNotification, resourceOf } from "../src/notification.js";
import { Fault, Sequence } from "../src/sequence.js";
import { verify } from "../src/signature.js";

export const modules: typeof declared = {
  Backoff,
  Client,
  Fault,
  InvalidNotification,
  Listener,
  RefusedError,
  Sequence,
  UnreachableError,
  parseCapabilities,
  parseNotification,
  resourceOf,
  subscription,
  verify,
};

export async function program({ Client, Listener, subscription }: typeof declared): Promise<bigint | undefined> {
  const client = new Client("https://example.org/fhir", { token: "t" });
  const { version } = await client.capabilities();
  const { id } = await client.subscribe(subscription(version, { topic: "http://example.org/topics/admission" }));
  const listener = new Listener(client, id, { after: 0n, limits: { missingMax: 10 } });
  for await (const update of listener) {
    if (update.type === "event") return update.event.number;
    if (update.type === "lost") return update.until;
    // @ts-expect-error: no other update has a range but this one.
    if (update.type === "renewed") return update.since;
  }
  return listener.cursor;
}
