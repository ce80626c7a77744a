export { Backoff } from "./backoff.js";
export { Client, RefusedError, UnreachableError, parseCapabilities, subscription } from "./client.js";
export { Listener } from "./listener.js";
export { InvalidNotification, parseNotification, resourceOf } from "./notification.js";
export { Fault, Sequence } from "./sequence.js";
export { verify } from "./signature.js";
