// The standard's EventSource, over a connection that stays.

import { environment, keepAwake, resolve } from "./browser.js";
import { connect } from "./connection.js";
import type { Connection, ConnectionOptions, ConnectionSink } from "./contract.js";
import { pump } from "./fetch.js";
import type { Wire } from "./wire.js";

export type { Failure, Transport } from "./contract.js";

/** What the standard's dictionary has, and more. */
export interface HeadwaterEventSourceInit extends ConnectionOptions {
  method?: string | undefined;
  body?: BodyInit | null | undefined;
  /** Closes it. */
  signal?: AbortSignal | undefined;
}

/** An `error` event, with what is known of why. */
export interface ConnectionErrorEvent extends Event {
  /** The status of the answer after which it is CLOSED; 0 if there was none. */
  readonly status?: number;
  readonly message?: string;
}

/** The address of sources that read a stream which somebody else opened. */
const STREAM_URL = "about:event-stream";
/** What the constructor reads in place of an address. */
let given: ReadableStream<BufferSource | string> | undefined;

/**
 * An `EventSource` that reconnects after every failure that will pass, with headers, tokens and any method,
 * over whatever streams here; a long poll where nothing does.
 */
export class HeadwaterEventSource extends EventTarget {
  declare static readonly CONNECTING: 0;
  declare static readonly OPEN: 1;
  declare static readonly CLOSED: 2;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSED: 2;
  declare onopen: ((this: HeadwaterEventSource, event: Event) => unknown) | null;
  declare onmessage: ((this: HeadwaterEventSource, event: MessageEvent<string>) => unknown) | null;
  declare onerror: ((this: HeadwaterEventSource, event: ConnectionErrorEvent) => unknown) | null;

  #url: string;
  #withCredentials: boolean;
  #readyState = 0;
  #connection: Connection | undefined;
  #end: (() => void) | undefined;

  /**
   * @throws SyntaxError (a DOMException) if the address cannot be parsed
   */
  constructor(url: string | URL, init: HeadwaterEventSourceInit = {}) {
    if (!arguments.length) {
      throw new TypeError();
    }
    super();
    init = init || {};
    const { method, body, signal } = init;
    const stream = given;
    this.#url = stream ? `${url}` : resolve(`${url}`);
    this.#withCredentials = !!init.withCredentials;
    const target = { url: this.#url, method, body };
    if (!signal?.aborted) {
      const ways = stream ? { ...environment, wires: [wireOf(stream)] } : environment;
      const connection = connect(target, init, ways, this.#sink(!!stream), false, [
        "message",
        "error",
        "open",
      ]);
      this.#connection = connection;
      this.#end = keepAwake(connection);
      signal?.addEventListener("abort", () => this.close());
    } else {
      this.#readyState = 2;
    }
  }

  /**
   * A source that dispatches the events of a stream of bytes or text. It is CLOSED when the stream ends, and
   * reconnects to nothing: that is for who opened the stream.
   */
  static fromReadableStream(stream: ReadableStream<BufferSource | string>): HeadwaterEventSource {
    given = stream;
    try {
      // No other way leads to this stream.
      return new this(STREAM_URL, { transport: "fetch" });
    } finally {
      given = undefined;
    }
  }

  // eslint-disable-next-line @typescript-eslint/class-literal-property-style -- it belongs to the prototype
  get [Symbol.toStringTag](): string {
    return "EventSource";
  }

  get url(): string {
    return this.#url;
  }

  get withCredentials(): boolean {
    return this.#withCredentials;
  }

  get readyState(): number {
    return this.#readyState;
  }

  /** The last event ID string. */
  get lastEventId(): string {
    return this.#connection?.lastEventId() ?? "";
  }

  /** In milliseconds. */
  get reconnectionTime(): number {
    return this.#connection?.retryMs() ?? 3000;
  }

  close(): void {
    this.#readyState = 2;
    this.#end?.();
  }

  /** Forgets the part of an event that a stream broke off in, before another is piped in behind it. */
  reset(): void {
    this.#connection?.reset();
  }

  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    if (WHOLE) {
      this.#connection?.listen(type);
    }
    super.addEventListener(type, listener, options);
  }

  #sink(isOnce: boolean): ConnectionSink {
    const failed = (failure: object): void => {
      this.close();
      this.dispatchEvent(Object.assign(new Event("error"), failure));
    };
    return {
      open: () => {
        if (this.#readyState !== 1) {
          this.#readyState = 1;
          this.dispatchEvent(new Event("open"));
        }
      },
      event: (type, data, lastEventId, origin) => {
        this.dispatchEvent(new MessageEvent(type, { data, lastEventId, origin }));
      },
      lost: () => {
        if (isOnce) {
          failed({});
        } else {
          this.#readyState = 0;
          this.dispatchEvent(new Event("error"));
        }
      },
      failed,
    };
  }
}

/** What reads a stream as if it were the body of an answer. */
function wireOf(stream: ReadableStream<BufferSource | string>): Wire {
  const reader = stream.getReader();
  return {
    name: "fetch",
    open(request, handler) {
      Promise.resolve()
        .then(() => {
          handler.head(200, () => "text/event-stream", request.url);
          return pump(reader, handler);
        })
        .catch(() => handler.end(true));
      return () => void reader.cancel().catch(() => undefined);
    },
  };
}

const prototype = HeadwaterEventSource.prototype as object as Record<string, unknown>;

// As Web IDL defines an interface: constants on both objects, handlers as accessors, all of it enumerable, and
// the name that scripts know.
["CONNECTING", "OPEN", "CLOSED"].forEach((name, value) => {
  for (const target of [HeadwaterEventSource, prototype]) {
    Object.defineProperty(target, name, { value, enumerable: true });
  }
});
["url", "withCredentials", "readyState", "close"].forEach((name) =>
  Object.defineProperty(prototype, name, { enumerable: true }),
);
for (const name of ["open", "message", "error"]) {
  const handlers = new WeakMap<object, { call: unknown }>();
  Object.defineProperty(prototype, "on" + name, {
    enumerable: true,
    configurable: true,
    get(this: HeadwaterEventSource): unknown {
      return handlers.get(this)?.call ?? null;
    },
    set(this: HeadwaterEventSource, call: unknown) {
      let handler = handlers.get(this);
      if (!handler) {
        // HTML 8.1.8.1: it takes its turn among the listeners from when it is first set.
        const first = (handler = { call });
        handlers.set(this, first);
        this.addEventListener(name, (event) => {
          if (typeof first.call === "function") {
            first.call.call(this, event);
          }
        });
      }
      handler.call = typeof call === "function" ? call : null;
    },
  });
}
