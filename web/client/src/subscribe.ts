// Many topics of a hub over one connection.

import { resolve } from "./browser.js";
import type { ConnectionOptions, Failure, Transport } from "./contract.js";
import { ownFeed, type Feed, type Status } from "./feed.js";
import { canShare, sharedFeed } from "./share.js";

export type { Status } from "./feed.js";

/** A topic, `"*"` for all of them, or a URL Pattern such as `{ pattern: "/stocks/:symbol" }`. */
export type Matcher = string | { pattern: string };

/** An event as the hub tells it. */
export interface HubEvent<T = string> {
  id: string;
  topics: string[];
  type: string;
  data: T;
  /** When the hub took it, as RFC 3339. */
  time: string;
  retry?: number;
  private?: boolean;
}

/** Events may be missing: the id that was asked for, and the id of the first event that follows. */
export interface Gap {
  requested: string | null;
  resumed: string | null;
}

export interface SubscribeOptions<T = string> extends ConnectionOptions {
  /** Where to begin without a place: `all`, `latest`, `-20`, `10m`. */
  since?: string | undefined;
  /** The only types of event that there are, so that the browser's own EventSource can be used. */
  types?: string[] | undefined;
  /** Whether data is JSON; or what makes a value of it. */
  json?: boolean | ((data: string) => T) | undefined;
  /** One connection for all tabs; a name keeps those apart that must not share, such as users. */
  share?: boolean | string | undefined;
  /** How many events may wait for a `for await` before the connection is let go until it has caught up. */
  queueMax?: number | undefined;
  /** Closes it. */
  signal?: AbortSignal | undefined;
  onevent?: ((event: HubEvent<T>) => void) | undefined;
  /** Events may be missing: fetch the present state anew. */
  ongap?: ((gap: Gap) => void) | undefined;
  onstatus?: ((status: Status, transport: Transport | undefined) => void) | undefined;
  /** It is closed, because of this; or an event's data is not what it should be. */
  onerror?: ((error: Failure | Error) => void) | undefined;
}

export interface Subscription<T = string> extends AsyncIterable<HubEvent<T>> {
  readonly status: Status;
  /** What it runs over. */
  readonly transport: Transport | undefined;
  /** The place in the log up to which everything was handed on. */
  readonly lastEventId: string;
  /** Topics from now on. */
  add(...matchers: Matcher[]): void;
  remove(...matchers: Matcher[]): void;
  close(): void;
}

/**
 * Subscribes to topics of a hub.
 *
 * @param url the hub's `/events`
 */
export function subscribe<T = string>(
  url: string | URL,
  topics: Matcher | Matcher[],
  options: SubscribeOptions<T> = {},
): Subscription<T> {
  const { onevent, ongap, onstatus, onerror, since, signal, json, queueMax = 1000 } = options;
  const wanted = new Set<string>();
  const queue: HubEvent<T>[] = [];
  const patterns = new Map<string, (topic: string) => boolean>();
  let base = resolve(`${url}`);
  let status: Status = "connecting";
  let transport: Transport | undefined;
  let lastEventId = options.lastEventId ?? "";
  let isRead = false;
  let isPaused = false;
  let isDue = false;
  let wakeReader: () => void = () => undefined;

  function told(now: Status, over?: Transport): void {
    transport = over;
    if (status !== now) {
      status = now;
      onstatus?.(now, over);
      wakeReader();
    }
  }

  function took(type: string, data: string, id: string): void {
    lastEventId = id;
    if (type === "hub.gap") {
      ongap?.(JSON.parse(data) as Gap);
    } else if (!type.startsWith("hub.")) {
      const event = JSON.parse(data) as HubEvent<T>;
      if (event.topics.some(isWanted)) {
        hand(event);
      }
    }
  }

  function isWanted(topic: string): boolean {
    return wanted.has(key(topic)) || [...patterns.values()].some((matches) => matches(topic));
  }

  function hand(event: HubEvent<T>): void {
    if (json) {
      try {
        const text = event.data as string;
        event.data = json === true ? (JSON.parse(text) as T) : json(text);
      } catch (error) {
        onerror?.(error as Error);
        return;
      }
    }
    onevent?.(event);
    if (isRead) {
      if (queue.push(event) > queueMax) {
        if (feed.pause) {
          isPaused = true;
          feed.pause();
        } else {
          ongap?.({ requested: queue.shift()!.id, resumed: queue[0]!.id });
        }
      }
      wakeReader();
    }
  }

  function want(): void {
    if (!isDue) {
      isDue = true;
      queueMicrotask(() => {
        isDue = isPaused = false;
        if (status !== "closed") {
          feed.want([...wanted]);
        }
      });
    }
  }

  function change(matchers: Matcher[], isIn: boolean): void {
    for (const matcher of matchers) {
      const pair = key(matcher);
      wanted[isIn ? "add" : "delete"](pair);
      patterns.delete(pair);
      if (isIn && !pair.startsWith("topic")) {
        patterns.set(pair, tester(decodeURIComponent(pair.slice(8)), base));
      }
    }
    want();
  }

  function close(): void {
    told("closed");
    feed.close();
  }

  const sink = {
    status: told,
    event: took,
    failed(failure: Failure) {
      close();
      onerror?.(failure);
    },
  };
  const { share } = options;
  if (since) {
    base += (base.includes("?") ? "&" : "?") + "since=" + encodeURIComponent(since);
  }
  const feed: Feed =
    share && canShare && !since && !lastEventId
      ? sharedFeed(
          `${share as string} ${base}`,
          (own) => ownFeed(base, { ...options, ...own.options }, own.sink),
          sink,
        )
      : ownFeed(base, options, sink);
  change([topics].flat(), true);
  if (signal?.aborted) {
    close();
  }
  signal?.addEventListener("abort", close);

  return {
    get status() {
      return status;
    },
    get transport() {
      return transport;
    },
    get lastEventId() {
      return lastEventId;
    },
    add: (...matchers) => change(matchers, true),
    remove: (...matchers) => change(matchers, false),
    close,
    async *[Symbol.asyncIterator]() {
      isRead = true;
      try {
        for (;;) {
          const event = queue.shift();
          if (event) {
            yield event;
          } else if (status === "closed") {
            return;
          } else {
            if (isPaused) {
              want();
            }
            await new Promise<void>((go) => {
              wakeReader = go;
            });
          }
        }
      } finally {
        close();
      }
    },
  };
}

/** A matcher as the pair of a query. */
function key(matcher: Matcher): string {
  const text = typeof matcher === "string" ? matcher : matcher.pattern;
  return (text === matcher && text !== "*" ? "topic=" : "pattern=") + encodeURIComponent(text);
}

type UrlPatternConstructor = new (
  pattern: string,
  base: string,
) => { test(url: string, base?: string): boolean };

/** Whether a topic matches; yes where the engine cannot tell, because the hub has looked already. */
function tester(pattern: string, base: string): (topic: string) => boolean {
  const { URLPattern } = globalThis as { URLPattern?: UrlPatternConstructor };
  if (pattern === "*" || !URLPattern) {
    return () => true;
  }
  const { origin } = new URL(base);
  const compiled = new URLPattern(pattern, origin);
  return (topic) => compiled.test(topic, origin);
}
