// What a connection needs from outside: wires, timers, the clock, randomness, and the page's own place.

import type { Wire } from "./wire.js";

/** As much of an EventSource as a connection uses. */
export interface NativeSource {
  readonly readyState: number;
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface Environment {
  /** The ways to ask, best first. */
  wires: Wire[];
  /** The engine's own EventSource, where there is one. */
  native?: ((url: string, withCredentials: boolean) => NativeSource) | undefined;
  /** Calls back once after so many milliseconds. */
  after: (ms: number, f: () => void) => void;
  /** Milliseconds since some fixed time. */
  now: () => number;
  /** Between 0 and 1. */
  random: () => number;
  originOf: (url: string) => string;
  /** The page's. */
  origin: string;
  /** What was found out about an origin in this session; with a second argument, finds it out. */
  memory?: (origin: string, isPolling?: boolean) => boolean;
}
