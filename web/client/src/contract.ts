// What a connection is asked and what it tells.

import type { Target } from "./request.js";

/** What a connection can run over, best first. */
export type Transport = "eventsource" | "fetch" | "xhr" | "poll";

/** Why a connection ended for good. */
export interface Failure {
  /** The status of the answer that said so; 0 if there was none. */
  status: number;
  message: string;
}

export interface ConnectionOptions {
  /** More header fields. */
  headers?: Record<string, string> | undefined;
  withCredentials?: boolean | undefined;
  /** The bearer token for `Authorization`; asked once, and once more when the answer is 401. */
  getToken?: (() => string | PromiseLike<string>) | undefined;
  /** Where to begin. */
  lastEventId?: string | undefined;
  /** Uses this and nothing else. */
  transport?: Transport | undefined;
  /** How long nothing may come before a long poll is tried beside it, in milliseconds. 3,000 if not said. */
  openTimeout?: number | undefined;
  /** How long a hub may be silent before it is taken for gone, in milliseconds. 45,000 if not said. */
  heartbeatTimeout?: number | undefined;
}

/** What a connection tells. */
export interface ConnectionSink {
  /** It is open, over this; again when it changes to another. */
  open(transport: Transport): void;
  event(type: string, data: string, lastEventId: string, origin: string): void;
  /** It is lost, and will come back by itself. */
  lost(): void;
  /** It is over. */
  failed(failure: Failure): void;
}

export interface Connection {
  /** The last event ID string. */
  lastEventId(): string;
  /** The reconnection time in milliseconds. */
  retryMs(): number;
  /** Ends it, silently. */
  close(): void;
  /** Forgets the part of an event that was read. */
  reset(): void;
  /** Listens for another type of event over a native EventSource. */
  listen(type: string): void;
  /**
   * Goes on at another address of the same hub, at the same place, also after `close`.
   *
   * @param isLive whether what only the new address has begins now and not where the old one was: what the old
   * one still has is then fetched first
   */
  move(target: Target, isLive: boolean): void;
  /**
   * Something happened after which a connection may be dead without a word, such as a sleep.
   *
   * @param isNetworkNew whether it surely is
   */
  wake(isNetworkNew: boolean): void;
}
