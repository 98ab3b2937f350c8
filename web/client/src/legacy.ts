// The classic script for engines of 2011: EventSource, where there is none, and subscriptions with callbacks.
// It uses nothing that came after ES5 and XMLHttpRequest.

import { connect } from "./connection.js";
import type { Connection, ConnectionOptions, Failure, Transport } from "./contract.js";
import type { Environment } from "./environment.js";
import type { Matcher } from "./subscribe.js";
import { xhrWire } from "./xhr.js";

type Listener = ((event: LegacyEvent) => void) | { handleEvent(event: LegacyEvent): void };

/** An event as far as an old engine needs it. */
interface LegacyEvent {
  type: string;
  target: unknown;
  data?: string;
  lastEventId?: string;
  origin?: string;
  status?: number;
  message?: string;
}

interface LegacySource {
  url: string;
  withCredentials: boolean;
  readyState: number;
  onopen: Listener | null;
  onmessage: Listener | null;
  onerror: Listener | null;
  addEventListener(type: string, listener: Listener): void;
  removeEventListener(type: string, listener: Listener): void;
  dispatchEvent(event: LegacyEvent): void;
  close(): void;
}

interface LegacyOptions extends ConnectionOptions {
  since?: string;
  json?: boolean;
  onevent?: (event: unknown) => void;
  ongap?: (gap: unknown) => void;
  onstatus?: (status: string, transport?: Transport) => void;
  onerror?: (error: Failure | Error) => void;
}

const memory: Record<string, boolean> = {};

function link(url: string): HTMLAnchorElement {
  const anchor = document.createElement("a");
  anchor.href = url;
  // Internet Explorer fills in the parts of an address only when an absolute one is set.
  const { href } = anchor;
  anchor.href = href;
  return anchor;
}

function originOf(url: string): string {
  const { protocol, host } = link(url);
  // Internet Explorer names the port also where it is the protocol's own.
  return protocol + "//" + host.replace(protocol === "https:" ? /:443$/ : /:80$/, "");
}

const environment: Environment = {
  wires: [xhrWire],
  after(ms, f) {
    setTimeout(f, ms);
  },
  now: () => new Date().getTime(),
  random: Math.random,
  origin: originOf(location.href),
  originOf,
  memory(origin, isPolling) {
    const key = "headwater " + origin;
    if (isPolling !== undefined) {
      memory[origin] = isPolling;
    }
    try {
      if (isPolling !== undefined) {
        sessionStorage.setItem(key, isPolling ? "1" : "");
      }
      return !!sessionStorage.getItem(key);
    } catch {
      return !!memory[origin];
    }
  },
};

function keepAwake(connection: Connection): void {
  const wake = (isNew: boolean) => () => connection.wake(isNew);
  if (window.addEventListener) {
    window.addEventListener("online", wake(true));
    window.addEventListener("focus", wake(false));
  }
}

/** The standard's EventSource. */
function HeadwaterEventSource(this: LegacySource, url: string, init?: ConnectionOptions): void {
  const listeners: Record<string, Listener[]> = {};
  // eslint-disable-next-line @typescript-eslint/no-this-alias -- what is called with `new` in ES5
  const source = this;
  const options = init || {};
  source.url = link(url).href;
  source.withCredentials = !!options.withCredentials;
  source.readyState = 0;
  source.onopen = source.onmessage = source.onerror = null;

  function call(listener: Listener | null, event: LegacyEvent): void {
    // Whoever fails does not keep the others from hearing it.
    try {
      if (typeof listener === "function") {
        listener.call(source, event);
      } else if (listener) {
        listener.handleEvent(event);
      }
    } catch (error) {
      setTimeout(() => {
        throw error;
      }, 0);
    }
  }
  source.addEventListener = (type, listener) => {
    source.removeEventListener(type, listener);
    listeners[type] = (listeners[type] || []).concat(listener);
  };
  source.removeEventListener = (type, listener) => {
    listeners[type] = (listeners[type] || []).filter((other) => other !== listener);
  };
  source.dispatchEvent = (event) => {
    event.target = source;
    const own = event.type === "open" || event.type === "message" || event.type === "error";
    call(own ? source[("on" + event.type) as "onopen"] : null, event);
    (listeners[event.type] || []).forEach((listener) => call(listener, event));
  };

  const say = (event: object): void => source.dispatchEvent(event as LegacyEvent);
  source.close = () => {
    source.readyState = 2;
    connection.close();
  };
  const connection = connect(
    { url: source.url },
    options,
    environment,
    {
      open() {
        if (source.readyState !== 1) {
          source.readyState = 1;
          say({ type: "open" });
        }
      },
      event(type, data, lastEventId, origin) {
        say({ type, data, lastEventId, origin });
      },
      lost() {
        source.readyState = 0;
        say({ type: "error" });
      },
      failed({ status, message }) {
        source.close();
        say({ type: "error", status, message });
      },
    },
    false,
  );
  keepAwake(connection);
}

const names = ["CONNECTING", "OPEN", "CLOSED"];
names.forEach((name, value) => {
  const constructor = HeadwaterEventSource as unknown as Record<string, unknown>;
  constructor[name] = value;
  (constructor.prototype as Record<string, unknown>)[name] = value;
});

/** Subscribes to topics of a hub, with callbacks. */
function subscribe(url: string, topics: Matcher | Matcher[], options: LegacyOptions = {}): { close(): void } {
  const pairs = ([] as Matcher[]).concat(topics).map((topic) => {
    const isTopic = typeof topic === "string" && topic !== "*";
    const text = typeof topic === "string" ? topic : topic.pattern;
    return (isTopic ? "topic=" : "pattern=") + encodeURIComponent(text);
  });
  const status = options.onstatus || (() => undefined);
  const since = options.since ? "&since=" + encodeURIComponent(options.since) : "";
  const query = "envelope=json" + since + "&" + pairs.join("&");
  const connection = connect(
    { url: link(url).href + (url.indexOf("?") < 0 ? "?" : "&") + query },
    options,
    environment,
    {
      open: (over) => status(over === "poll" ? "polling" : "open", over),
      event(type, data) {
        if (type === "hub.gap") {
          options.ongap?.(JSON.parse(data));
        } else if (type.indexOf("hub.")) {
          const event = JSON.parse(data) as { data: unknown };
          if (options.json) {
            event.data = JSON.parse(event.data as string);
          }
          options.onevent?.(event);
        }
      },
      lost: () => status("connecting"),
      failed(failure) {
        status("closed");
        options.onerror?.(failure);
      },
    },
    true,
  );
  keepAwake(connection);
  return {
    close() {
      connection.close();
      status("closed");
    },
  };
}

const global = window as unknown as Record<string, unknown>;
if (!global.EventSource) {
  global.EventSource = HeadwaterEventSource;
}

global.headwater = { HeadwaterEventSource, subscribe };
