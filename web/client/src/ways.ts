// Every way that a page may have to connect, for the whole client.

import { environment } from "./browser.js";
import type { NativeSource } from "./environment.js";
import { xhrWire } from "./xhr.js";

// Taken before anybody puts ours in its place.
const Native = globalThis.EventSource as (new (url: string, init: object) => NativeSource) | undefined;

if (!globalThis.fetch) {
  environment.wires.pop();
}
if (globalThis.XMLHttpRequest) {
  environment.wires.push(xhrWire);
}
environment.native = Native && ((url, withCredentials) => new Native(url, { withCredentials }));
environment.memory = (origin, isPolling) => {
  const key = "headwater " + origin;
  try {
    if (isPolling !== undefined) {
      sessionStorage[key] = isPolling || "";
    }
    return !!sessionStorage[key];
  } catch {
    // A worker, or a page that may store nothing.
    return !!isPolling;
  }
};
