// @vitest-environment jsdom
import { afterEach, describe, expect, it, vi } from "vitest";
import { HeadwaterEventSource } from "../src/index.js";

const { CONNECTING, OPEN, CLOSED } = HeadwaterEventSource;

/** Answers the next requests with these bodies, each of which stays open. */
function answer(...bodies: string[]): { asked: [string, RequestInit][]; end: () => void } {
  const asked: [string, RequestInit][] = [];
  let end = (): void => undefined;
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push([url, init]);
    const body = bodies.shift();
    if (body === undefined) {
      return Promise.reject(new TypeError("no network"));
    }
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(body));
        end = () => controller.close();
      },
    });
    const headers = { "Content-Type": "text/event-stream" };
    return Promise.resolve(Object.defineProperty(new Response(stream, { headers }), "url", { value: url }));
  });
  return { asked, end: () => end() };
}

function told(source: HeadwaterEventSource, ...types: string[]): Promise<Event[]> {
  const events: Event[] = [];
  return new Promise((go) => {
    for (const type of new Set(types)) {
      source.addEventListener(type, (event) => {
        if (events.push(event) === types.length) {
          go(events);
        }
      });
    }
  });
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("the constructor", () => {
  it("resolves addresses, takes what can be text, and throws what the standard says", () => {
    answer();
    expect(new HeadwaterEventSource("/a?b#c").url).toBe(`${location.origin}/a?b#c`);
    expect(new HeadwaterEventSource({ toString: () => "x" } as URL).url).toBe(`${location.origin}/x`);
    expect(new HeadwaterEventSource(null as unknown as string).url).toBe(`${location.origin}/null`);
    expect(() => new HeadwaterEventSource("http://a:b/")).toThrow(
      expect.objectContaining({ name: "SyntaxError" }) as Error,
    );
    expect(() => new (HeadwaterEventSource as unknown as new () => EventSource)()).toThrow(TypeError);
    expect(HeadwaterEventSource.length).toBe(1);
  });

  it("reads its dictionary, or none", () => {
    answer();
    expect(new HeadwaterEventSource("/a", null as never).withCredentials).toBe(false);
    expect(new HeadwaterEventSource("/a", { withCredentials: true }).withCredentials).toBe(true);
    expect(new HeadwaterEventSource("/a").readyState).toBe(CONNECTING);
  });

  it("stays closed with a signal that is over", () => {
    const { asked } = answer("");
    expect(new HeadwaterEventSource("/a", { signal: AbortSignal.abort() }).readyState).toBe(CLOSED);
    expect(asked).toEqual([]);
  });
});

it("is the standard's interface", () => {
  expect([CONNECTING, OPEN, CLOSED]).toEqual([0, 1, 2]);
  const { prototype } = HeadwaterEventSource;
  expect([prototype.CONNECTING, prototype.OPEN, prototype.CLOSED]).toEqual([0, 1, 2]);
  expect(Reflect.set(HeadwaterEventSource, "OPEN", 9)).toBe(false);
  expect(Object.prototype.toString.call(prototype)).toBe("[object EventSource]");
  expect(Object.keys(prototype)).toEqual(expect.arrayContaining(["url", "onopen", "onerror", "close"]));
});

it("dispatches messages with what they came with", async () => {
  answer("\uFEFFid: 1\ndata: a\n\n\uFEFFdata: x\nevent: b\ndata: c\n\n");
  const source = new HeadwaterEventSource("/a", { transport: "fetch" });
  const [open, a, b] = (await told(source, "open", "message", "b")) as [Event, MessageEvent, MessageEvent];
  expect(open).not.toHaveProperty("data");
  expect([a.data, a.lastEventId, a.bubbles, a.cancelable]).toEqual(["a", "1", false, false]);
  expect([b.type, b.data, b.lastEventId]).toEqual(["b", "c", "1"]);
  expect(b).toBeInstanceOf(MessageEvent);
  source.close();
  expect(source.readyState).toBe(CLOSED);
});

it("calls handlers in the turn in which they were first set", async () => {
  answer("data: a\n\n");
  const source = new HeadwaterEventSource("/a", { transport: "fetch" });
  const calls: string[] = [];
  expect(source.onmessage).toBeNull();
  source.onmessage = () => calls.push("replaced");
  source.addEventListener("message", () => calls.push("listener"));
  source.onmessage = function () {
    calls.push(this === source ? "handler" : "no this");
  };
  await told(source, "message");
  expect(calls).toEqual(["handler", "listener"]);
  source.onmessage = 5 as never;
  expect(source.onmessage).toBeNull();
  source.close();
});

it("reconnects with its id, and says why when it does not", async () => {
  const { asked, end } = answer("retry: 1\nid: é\ndata: a\n\n", "data: b\n\n");
  const source = new HeadwaterEventSource("/a", { transport: "fetch", headers: { "X-A": "1" } });
  await told(source, "message");
  const second = told(source, "error", "message");
  end();
  const [error, message] = (await second) as [Event, MessageEvent];
  expect([error.type, message.data, message.lastEventId]).toEqual(["error", "b", "é"]);
  expect(asked[1]![1]).toMatchObject({
    cache: "no-store",
    credentials: "same-origin",
    headers: { Accept: "text/event-stream", "X-A": "1", "Last-Event-ID": "Ã©" },
  });
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("", { status: 404 })));
  const last = told(source, "error", "error");
  end();
  const [, failed] = await last;
  expect(failed).toMatchObject({ status: 404 });
  expect(source.readyState).toBe(CLOSED);
});

describe("fromReadableStream", () => {
  it("dispatches what a stream of bytes or text holds, and is closed with it", async () => {
    for (const encode of [(text: string) => new TextEncoder().encode(text), (text: string) => text]) {
      const stream = new ReadableStream<Uint8Array<ArrayBuffer> | string>({
        start(controller) {
          for (const piece of ["retry: 7\nid: 1\nda", "ta: a\n\ndata: b"]) {
            controller.enqueue(encode(piece));
          }
          controller.close();
        },
      });
      const source = HeadwaterEventSource.fromReadableStream(stream);
      expect([source.url, source.readyState, source.withCredentials]).toEqual([
        "about:event-stream",
        0,
        false,
      ]);
      const [open, message] = (await told(source, "open", "message", "error")) as [Event, MessageEvent];
      expect([open.type, message.data, source.lastEventId]).toEqual(["open", "a", "1"]);
      expect([source.reconnectionTime, source.readyState]).toEqual([7, CLOSED]);
    }
  });

  it("forgets half an event when told to", async () => {
    const { readable, writable } = new TransformStream<string, string>();
    const source = HeadwaterEventSource.fromReadableStream(readable);
    const writer = writable.getWriter();
    const first = told(source, "message");
    await writer.write("data: a\n\ndata: half\n");
    await first;
    source.reset();
    const second = told(source, "message");
    await writer.write("data: b\n\n");
    expect(((await second)[0] as MessageEvent).data).toBe("b");
    source.close();
  });
});
