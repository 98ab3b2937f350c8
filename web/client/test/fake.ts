// An environment without a network or a clock: the test says what comes, and when.

import { connect } from "../src/connection.js";
import type { ConnectionOptions } from "../src/contract.js";
import type { Environment, NativeSource } from "../src/environment.js";
import type { Wire, WireHandler, WireRequest } from "../src/wire.js";

/** A request that was made. */
export class Asked {
  isClosed = false;

  constructor(
    readonly request: WireRequest,
    readonly handler: WireHandler,
  ) {}

  /** Answers with a head. */
  head(status: number, type: string, fields: Record<string, string> = {}): this {
    const header = (name: string): string | null => (name === "Content-Type" ? type : (fields[name] ?? null));
    this.handler.head(status, header, this.request.url);
    return this;
  }

  /** Begins an event stream, of a hub. */
  stream(text = ""): this {
    this.head(200, "text/event-stream; charset=utf-8");
    return this.text(text);
  }

  text(text: string): this {
    this.handler.text(text);
    return this;
  }

  json(value: unknown): void {
    this.head(200, "application/json").text(JSON.stringify(value)).handler.end(false);
  }

  refuse(status: number, fields: Record<string, string> = {}): void {
    this.head(status, "text/plain", fields).handler.end(false);
  }
}

export class FakeSource implements NativeSource {
  readyState = 0;
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  readonly listeners = new Map<string, (event: MessageEvent<string>) => void>();

  constructor(readonly url: string) {}

  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void {
    this.listeners.set(type, listener);
  }

  fire(type: string, data: string, lastEventId: string): void {
    this.listeners.get(type)?.({ data, lastEventId, origin: "http://page" } as MessageEvent<string>);
  }

  close(): void {
    this.readyState = 2;
  }
}

export class Fake {
  readonly asked: Asked[] = [];
  readonly sources: FakeSource[] = [];
  readonly told: string[] = [];
  readonly events: string[] = [];
  readonly memory = new Map<string, boolean>();
  time = 1_000_000;
  random = 0;
  #timers: { at: number; f: () => void }[] = [];

  readonly environment: Environment;

  constructor(hoards = false) {
    const wire: Wire = {
      name: "fetch",
      hoards,
      open: (request, handler) => {
        const asked = new Asked(request, handler);
        this.asked.push(asked);
        return () => (asked.isClosed = true);
      },
    };
    this.environment = {
      wires: [wire],
      after: (ms, f) => this.#timers.push({ at: this.time + ms, f }),
      now: () => this.time,
      random: () => this.random,
      origin: "http://page",
      originOf: (url) => new URL(url).origin,
      memory: (origin, isPolling) => {
        if (isPolling !== undefined) {
          this.memory.set(origin, isPolling);
        }
        return !!this.memory.get(origin);
      },
    };
  }

  withNative(): this {
    this.environment.native = (url) => {
      const source = new FakeSource(url);
      this.sources.push(source);
      return source;
    };
    return this;
  }

  connect(options: ConnectionOptions = {}, isHub = false, url = "http://page/events/a") {
    const types = this.environment.native && ["message"];
    return connect(
      { url },
      options,
      this.environment,
      {
        open: (transport) => this.told.push(`open ${transport}`),
        event: (type, data, id) => this.events.push(`${type} ${data} ${id}`),
        lost: () => this.told.push("lost"),
        failed: ({ status, message }) => this.told.push(`failed ${status} ${message}`),
      },
      isHub,
      types,
    );
  }

  /** The newest request. */
  get last(): Asked {
    return this.asked.at(-1)!;
  }

  /** Lets time pass, and timers fire in their order. */
  pass(ms: number): void {
    const end = this.time + ms;
    for (let fired = 0; fired < 10_000; fired++) {
      this.#timers.sort((a, b) => a.at - b.at);
      const next = this.#timers[0];
      if (!next || next.at > end) {
        break;
      }
      this.#timers.shift();
      this.time = Math.max(this.time, next.at);
      next.f();
    }
    this.time = end;
  }

  /** Lets time pass without anybody noticing, as in a sleep. */
  sleep(ms: number): void {
    this.time += ms;
  }
}

export const OPEN = 'event: hub.open\nretry: 100\ndata: {"resume":"live"}\nid: #p\n\n';
