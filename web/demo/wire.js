// The network of these pages, with faults on demand: what a page connects with goes through here, so that a button
// can cut it, hold it up, or take it away. The client library knows nothing of it, and has to cope.

const real = { EventSource: window.EventSource, fetch: window.fetch, XMLHttpRequest: window.XMLHttpRequest };
const EVENT_STREAM = "text/event-stream";
/** How long a cut lasts. */
const DOWN_MS = 2000;
/** When the EventSource of this page comes back: the browser's own does after the hub's `retry`. */
const RETRY_MS = 2500;

let isDown = false;
let isAsleep = false;
let isHeld = false;
/** Everything that is open: what cuts it, and what tells it of the morning. */
const open = new Set();

/** Cuts every connection of this page; for two seconds nothing can be reached. */
export function cut() {
  isDown = true;
  setTimeout(() => (isDown = false), DOWN_MS);
  for (const wire of [...open]) {
    wire.cut();
  }
}

/** Stops reading, as a laptop does that is closed; or goes on. */
export function sleep(asleep) {
  isAsleep = asleep;
  for (const wire of [...open]) {
    wire.sleep?.(asleep);
  }
}

/** Holds streams back until they end, as a proxy does that buffers: which is for ever. */
export function hold(held) {
  isHeld = held;
  // The client remembers for the session what it has found out about the way.
  sessionStorage.removeItem(`headwater ${location.origin}`);
}

/**
 * The client library as it finds itself in a browser without these APIs: it looks once, when it is loaded.
 *
 * @param taken of "EventSource" and "fetch"
 */
export function client(taken) {
  window.EventSource = taken.includes("EventSource") || !real.EventSource ? undefined : FaultyEventSource;
  window.fetch = taken.includes("fetch") ? undefined : faultyFetch;
  window.XMLHttpRequest = FaultyXMLHttpRequest;
  return import(taken.length ? `/client.mjs?without=${taken.join()}` : "/client.mjs");
}

/** Resolves when nobody sleeps. */
function awake() {
  if (!isAsleep) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const wire = {
      cut: () => undefined,
      sleep() {
        open.delete(wire);
        resolve();
      },
    };
    open.add(wire);
  });
}

/** As much of an EventSource as the client uses. */
class FaultyEventSource {
  readyState = 0;
  onopen = null;
  onerror = null;
  #url;
  #init;
  #id = "";
  #native;
  #timer;
  #listeners = [];

  constructor(url, init) {
    this.#url = url;
    this.#init = init;
    open.add(this);
    this.#connect();
  }

  addEventListener(type, listener) {
    this.#listeners.push([type, listener]);
    this.#listen(type, listener);
  }

  close() {
    this.readyState = 2;
    open.delete(this);
    this.#stop();
  }

  cut() {
    this.#stop();
    this.readyState = 0;
    this.#timer = setTimeout(() => this.#connect(), RETRY_MS);
    this.onerror?.(new Event("error"));
  }

  sleep(asleep) {
    this.#stop();
    if (!asleep) {
      this.#connect();
    }
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#native?.close();
    this.#native = undefined;
  }

  #connect() {
    if (isDown) {
      this.cut();
    } else if (!isAsleep && !isHeld) {
      const url = new URL(this.#url);
      if (this.#id) {
        url.searchParams.set("lastEventId", this.#id);
      }
      const native = (this.#native = new real.EventSource(url, this.#init));
      native.onopen = (event) => {
        this.readyState = native.readyState;
        this.onopen?.(event);
      };
      native.onerror = (event) => {
        this.readyState = native.readyState;
        this.onerror?.(event);
      };
      this.#listeners.forEach((pair) => this.#listen(...pair));
    }
  }

  #listen(type, listener) {
    this.#native?.addEventListener(type, (event) => {
      this.#id = event.lastEventId;
      listener(event);
    });
  }
}

async function faultyFetch(url, init = {}) {
  if (!new URL(url, location).pathname.startsWith("/events")) {
    return real.fetch.call(window, url, init);
  }
  const control = new AbortController();
  const wire = { cut: () => control.abort() };
  open.add(wire);
  const over = () => open.delete(wire);
  init.signal?.addEventListener("abort", () => (over(), control.abort()));
  try {
    await awake();
    if (isDown) {
      throw new TypeError("the button has cut the network");
    }
    if (isHeld && init.headers?.Accept === EVENT_STREAM) {
      await new Promise((_, fail) => control.signal.addEventListener("abort", fail));
    }
    const response = await real.fetch.call(window, url, { ...init, signal: control.signal });
    const reader = response.body.getReader();
    const read = async () => {
      // Whoever sleeps does not read: what comes waits in the socket, or at the hub.
      await awake();
      const part = await reader.read();
      await awake();
      return part;
    };
    Object.defineProperty(response, "body", { value: { getReader: () => ({ read }) } });
    return response;
  } catch (error) {
    over();
    throw error;
  }
}

class FaultyXMLHttpRequest extends real.XMLHttpRequest {
  #told = () => undefined;
  #isStream = false;

  set onreadystatechange(told) {
    this.#told = told;
    super.onreadystatechange = () => this.#tell();
  }

  setRequestHeader(name, value) {
    this.#isStream ||= name === "Accept" && value === EVENT_STREAM;
    super.setRequestHeader(name, value);
  }

  send(body) {
    open.add(this);
    super.send(body);
    if (isDown) {
      queueMicrotask(() => this.cut());
    }
  }

  cut() {
    this.abort();
  }

  sleep() {
    this.#tell();
  }

  #tell() {
    if (!isAsleep && !(isHeld && this.#isStream && this.readyState < 4)) {
      if (this.readyState === 4) {
        open.delete(this);
      }
      this.#told();
    }
  }
}
