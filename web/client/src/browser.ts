// The environment of a page or a worker.

import type { Connection } from "./contract.js";
import type { Environment } from "./environment.js";
import { fetchWire } from "./fetch.js";

const page = globalThis.document;

/** The environment; a face adds what else it can use. */
export const environment: Environment = {
  wires: [fetchWire],
  after(ms, f) {
    setTimeout(f, ms);
  },
  now: Date.now,
  random: Math.random,
  origin: globalThis.location?.origin,
  originOf: (url) => new URL(url).origin,
};

/** An address as the page means it. */
export function resolve(url: string): string {
  try {
    // The settings object's API base URL.
    return new URL(url, page?.baseURI ?? globalThis.location?.href).href;
  } catch {
    throw new DOMException(url, "SyntaxError");
  }
}

/** Wakes a connection when the page comes back to life; returns what ends it, and that. */
export function keepAwake(connection: Connection): () => void {
  const abort = new AbortController();
  const wake = ({ type, persisted }: Partial<PageTransitionEvent>): void =>
    connection.wake(type === "online" || !!persisted);
  for (const type of ["online", "pageshow"]) {
    globalThis.addEventListener?.(type, wake, abort);
  }
  page?.addEventListener("visibilitychange", wake, abort);
  return () => {
    abort.abort();
    connection.close();
  };
}
