import { describe, expect, it } from "vitest";
import { delayMs, retryAfterMs } from "../src/delay.js";
import { Fake, OPEN } from "./fake.js";

describe("a stream", () => {
  it("is asked for, opens, and hands on what comes with its place", () => {
    const fake = new Fake();
    const connection = fake.connect();
    expect(fake.last.request).toMatchObject({ method: "GET", url: "http://page/events/a" });
    expect(fake.last.request.headers).toEqual({ Accept: "text/event-stream" });
    fake.last.stream("id: 1\ndata: a\n\n").text("event: x\ndata: b\n\n");
    expect(fake.told).toEqual(["open fetch"]);
    expect(fake.events).toEqual(["message a 1", "x b 1"]);
    expect(connection.lastEventId()).toBe("1");
  });

  it("goes on from its place after exactly the reconnection time", () => {
    const fake = new Fake();
    fake.random = 0.99;
    fake.connect();
    fake.last.stream("retry: 500\nid: ключ\ndata: a\n\n").handler.end(false);
    expect(fake.told).toEqual(["open fetch", "lost"]);
    fake.pass(499);
    expect(fake.asked).toHaveLength(1);
    fake.pass(1);
    // "encoded as UTF-8": a character for each byte.
    expect(fake.last.request.headers["Last-Event-ID"]).toBe(
      "\u00d0\u00ba\u00d0\u00bb\u00d1\u008e\u00d1\u0087",
    );
    fake.last.stream("data: b\n\n");
    expect(fake.events).toEqual(["message a ключ", "message b ключ"]);
  });

  it("does not take half an event for a place", () => {
    const fake = new Fake();
    const connection = fake.connect();
    fake.last.stream("id: 1\ndata: a\n\nid: 2\ndata: b\n").handler.end(true);
    expect(connection.lastEventId()).toBe("1");
    expect(fake.events).toEqual(["message a 1"]);
  });

  it("hears nothing of what it has given up", () => {
    const fake = new Fake();
    const connection = fake.connect();
    const first = fake.last.stream("id: 1\ndata: a\n\n");
    connection.close();
    first.text("id: 2\ndata: b\n\n").handler.end(true);
    fake.pass(1e6);
    expect(first.isClosed).toBe(true);
    expect([fake.asked.length, fake.events, fake.told]).toEqual([1, ["message a 1"], ["open fetch"]]);
  });

  it("exchanges an answer that hoards what it received, between two events and unseen", () => {
    const fake = new Fake(true);
    fake.connect();
    fake.last.stream(`id: 1\ndata: ${"x".repeat(1 << 20)}\n`);
    expect(fake.asked).toHaveLength(1);
    fake.last.text("\n");
    expect(fake.last.request.headers["Last-Event-ID"]).toBe("1");
    expect(fake.told).toEqual(["open fetch"]);
  });
});

describe("an answer that is not a stream", () => {
  it.each([
    [204, "text/event-stream"],
    [200, "text/html"],
    [200, "text/event-stream-x"],
    [404, "text/event-stream"],
    [403, "text/plain"],
  ])("%d with %s ends it", (status, type) => {
    const fake = new Fake();
    fake.connect();
    fake.last.head(status, type);
    fake.pass(1e6);
    expect(fake.told).toEqual([`failed ${status} ${status} ${type}`]);
    expect(fake.asked).toHaveLength(1);
  });

  it("says why, if the answer does", () => {
    const fake = new Fake();
    fake.connect();
    fake.last.head(400, "application/problem+json").text('{"detail":"do this"').text("}").handler.end(false);
    expect(fake.told).toEqual(["failed 400 do this"]);
  });

  it.each([500, 502, 503, 429, 408, 425])("%d is waited for", (status) => {
    const fake = new Fake();
    fake.connect();
    fake.last.refuse(status);
    fake.pass(3000);
    fake.last.stream();
    expect(fake.told).toEqual(["lost", "open fetch"]);
  });

  it("is asked again not before it said, also when the page wakes up", () => {
    const fake = new Fake();
    const connection = fake.connect();
    fake.last.refuse(503, { "Retry-After": "60" });
    fake.pass(59_000);
    connection.wake(true);
    expect(fake.asked).toHaveLength(1);
    fake.pass(1000);
    expect(fake.asked).toHaveLength(2);
  });

  it("backs off further with every failure, and begins anew after one of use", () => {
    const fake = new Fake();
    fake.random = 1;
    fake.connect({}, true);
    const waits: number[] = [];
    for (let failures = 0; failures < 6; failures++) {
      const from = fake.time;
      const before = fake.asked.length;
      fake.last.refuse(500);
      while (fake.asked.length === before) {
        fake.pass(100);
      }
      waits.push(fake.time - from);
    }
    expect(waits).toEqual([3000, 6000, 12000, 24000, 33000, 33000]);
    fake.last.stream(OPEN).handler.end(true);
    fake.pass(100);
    expect(fake.told.at(-1)).toBe("lost");
    expect(fake.asked).toHaveLength(8);
  });
});

describe("a network error", () => {
  it("is waited for on the page's own origin, and after a connection elsewhere", () => {
    const fake = new Fake();
    fake.connect();
    fake.last.handler.end(true);
    expect(fake.told).toEqual(["lost"]);
    const other = new Fake();
    other.connect({}, false, "http://other/events/a");
    other.last.stream("data: a\n\n").handler.end(true);
    expect(other.told).toEqual(["open fetch", "lost"]);
  });

  it("is final elsewhere before any answer, because it may be a missing permission", () => {
    const fake = new Fake();
    fake.connect({}, false, "http://other/events/a");
    fake.last.handler.end(true);
    expect(fake.told).toEqual(["failed 0 no answer"]);
  });
});

describe("a token", () => {
  it("is renewed once on 401, and the place kept", () => {
    const fake = new Fake();
    const tokens = ["one", "two", "three"];
    fake.connect({ getToken: () => tokens.shift()! });
    expect(fake.last.request.headers.Authorization).toBe("Bearer one");
    fake.last.stream("id: 1\ndata: a\n\n").handler.end(false);
    fake.pass(3000);
    expect(fake.last.request.headers.Authorization).toBe("Bearer one");
    fake.last.refuse(401);
    expect(fake.last.request.headers).toMatchObject({ Authorization: "Bearer two", "Last-Event-ID": "1" });
    fake.last.refuse(401);
    expect(fake.told).toEqual(["open fetch", "lost", "failed 401 401 text/plain"]);
    expect(tokens).toEqual(["three"]);
  });

  it("may come later, or fail, which passes", async () => {
    const fake = new Fake();
    const tokens = [Promise.reject(new Error("offline")), Promise.resolve("late")];
    fake.connect({ getToken: () => tokens.shift()! });
    await new Promise((go) => setTimeout(go));
    expect(fake.told).toEqual(["lost"]);
    fake.pass(3000);
    await new Promise((go) => setTimeout(go));
    expect(fake.last.request.headers.Authorization).toBe("Bearer late");
  });
});

describe("a hub", () => {
  it("that is silent is taken for gone; any other server may be silent", () => {
    for (const [text, lives] of [
      [OPEN, false],
      ["data: a\n\n", true],
    ] as const) {
      const fake = new Fake();
      fake.connect();
      fake.last.stream(text);
      for (let beats = 0; beats < 10; beats++) {
        fake.pass(15_000);
        fake.last.text(":\n");
      }
      expect(fake.asked).toHaveLength(1);
      fake.pass(61_000);
      expect(fake.asked.length === 1).toBe(lives);
    }
  });

  it("is reconnected when the page wakes after a sleep, or on another network", () => {
    const fake = new Fake();
    const connection = fake.connect();
    fake.last.stream(OPEN);
    connection.wake(false);
    expect(fake.asked).toHaveLength(1);
    fake.sleep(46_000);
    connection.wake(false);
    expect(fake.asked).toHaveLength(1);
    fake.pass(0);
    expect(fake.asked).toHaveLength(2);
    fake.last.stream(OPEN);
    connection.wake(true);
    fake.pass(0);
    expect(fake.asked).toHaveLength(3);
  });

  it("is told the place in the query where another origin would be asked for permission first", () => {
    const fake = new Fake();
    fake.connect({}, false, "http://hub/events?topic=a&lastEventId=old");
    fake.last.stream(OPEN).handler.end(false);
    fake.pass(100);
    expect(fake.last.request.url).toBe("http://hub/events?topic=a&lastEventId=%23p");
    expect(fake.last.request.headers["Last-Event-ID"]).toBeUndefined();
  });
});

describe("a proxy that holds back", () => {
  it("is polled through, from when the page began to wait, and remembered", () => {
    const fake = new Fake();
    fake.connect();
    fake.pass(3000);
    expect(fake.asked).toHaveLength(2);
    expect(fake.last.request.headers.Accept).toBe("application/json");
    expect(fake.last.request.url).toBe("http://page/events/a?wait=0&since=4000ms");
    fake.last.json({ events: [{ id: "#1", type: "x", data: "a\r\nb\rc" }], last_event_id: "#2" });
    expect(fake.asked[0]!.isClosed).toBe(true);
    expect([fake.told, fake.events]).toEqual([["open poll"], ["x a\nb\nc #1"]]);
    expect(fake.memory.get("http://page")).toBe(true);
    fake.pass(0);
    expect(fake.last.request.url).toBe("http://page/events/a?lastEventId=%232&wait=25");
  });

  it("is left alone when the stream comes after all, or the other side is no hub", () => {
    const fake = new Fake();
    fake.connect();
    fake.pass(3000);
    const probe = fake.last;
    fake.asked[0]!.stream(OPEN);
    expect(probe.isClosed).toBe(true);
    const other = new Fake();
    other.connect();
    other.pass(3000);
    other.last.refuse(406);
    other.pass(100_000);
    expect([other.asked.length, other.told]).toEqual([2, []]);
    other.asked[0]!.stream("data: a\n\n");
    expect(other.events).toEqual(["message a "]);
  });

  it("is not asked for where there was an answer that only is silent", () => {
    const fake = new Fake();
    fake.connect();
    fake.last.stream();
    fake.pass(100_000);
    expect(fake.asked).toHaveLength(1);
  });
});

describe("a long poll", () => {
  it("tells a gap, waits where there is nothing, and does not hurry who does not wait", () => {
    const fake = new Fake();
    fake.connect({ transport: "poll" });
    fake.last.json({ events: [], last_event_id: "#1" });
    fake.pass(0);
    fake.last.json({ events: [], last_event_id: "#1", gap: { requested: "#1", resumed: null } });
    expect(fake.events).toEqual(['hub.gap {"requested":"#1","resumed":null} #1']);
    fake.pass(999);
    expect(fake.asked).toHaveLength(2);
    fake.pass(1);
    expect(fake.asked).toHaveLength(3);
    fake.last.handler.end(true);
    expect(fake.told).toEqual(["open poll", "lost"]);
  });

  it("that was remembered of something else is forgotten", () => {
    const fake = new Fake();
    fake.memory.set("http://page", true);
    fake.connect();
    fake.last.refuse(404);
    expect(fake.memory.get("http://page")).toBe(false);
    expect(fake.last.request.headers.Accept).toBe("text/event-stream");
  });
});

describe("a native source", () => {
  it("is used when nothing more is asked, and only then", () => {
    const fake = new Fake().withNative();
    const connection = fake.connect();
    connection.listen("x");
    fake.sources[0]!.onopen!({} as Event);
    fake.sources[0]!.fire("x", "a", "1");
    expect([fake.told, fake.events, fake.asked.length]).toEqual([["open eventsource"], ["x a 1"], 0]);
    for (const options of [{ headers: {} }, { getToken: () => "" }, { lastEventId: "1" }]) {
      const other = new Fake().withNative();
      other.connect(options);
      expect(other.sources).toEqual([]);
    }
  });

  it("that gives up is replaced by what tells why", () => {
    const fake = new Fake().withNative();
    fake.connect();
    const source = fake.sources[0]!;
    source.fire("message", "a", "1");
    source.readyState = 2;
    source.onerror!({} as Event);
    expect(fake.last.request.headers["Last-Event-ID"]).toBe("1");
    fake.last.refuse(503);
    expect(fake.told).toEqual(["lost"]);
  });

  it("comes back by itself once; a hub that stays away is taken over", () => {
    const fake = new Fake().withNative();
    fake.connect();
    const source = fake.sources[0]!;
    source.fire("hub.open", "{}", "#p");
    source.onerror!({} as Event);
    expect([fake.told, fake.asked.length]).toEqual([["lost"], 0]);
    source.onerror!({} as Event);
    fake.pass(0);
    expect(fake.last.request.headers["Last-Event-ID"]).toBe("#p");
  });

  it("that slept is replaced", () => {
    const fake = new Fake().withNative();
    fake.connect();
    fake.sources[0]!.fire("hub.open", "{}", "#p");
    fake.pass(50_000);
    expect(fake.asked).toHaveLength(0);
    fake.sleep(120_000);
    fake.pass(0);
    expect(fake.asked.length).toBeGreaterThan(0);
  });
});

describe("another address", () => {
  it("begins now with what is new, and where it was with what is not", () => {
    const fake = new Fake();
    const connection = fake.connect({}, true, "http://page/events?topic=a");
    fake.last.stream(OPEN).text("id: #1\ndata: one\n\n");
    connection.move({ url: "http://page/events?topic=a&topic=b" }, true);
    expect(fake.last.request.url).toBe("http://page/events?topic=a&wait=0&since=0ms");
    // What was published just now comes with the mark, and in its order later.
    fake.last.json({ events: [{ id: "#3", type: "message", data: "#3" }], last_event_id: "#now" });
    expect(fake.last.request.url).toBe("http://page/events?topic=a&lastEventId=%231&wait=0");
    const missed = ["#2", "#3"].map((id) => ({ id, type: "message", data: id }));
    fake.last.json({ events: missed, last_event_id: "#3" });
    expect(fake.last.request.url).toBe("http://page/events?topic=a&topic=b");
    expect(fake.last.request.headers["Last-Event-ID"]).toBe("#now");
    // #3 came after the mark, and comes again.
    fake.last.stream(OPEN).text("id: #3\ndata: #3\n\nid: #4\ndata: #4\n\n");
    expect(fake.events.filter((event) => !event.startsWith("hub."))).toEqual([
      "message one #1",
      "message #2 #2",
      "message #3 #3",
      "message #4 #4",
    ]);
    expect(fake.told).toEqual(["open fetch"]);
  });
});

describe("delays", () => {
  it("are between the reconnection time and that with the backoff", () => {
    expect(delayMs(3000, 0, 1)).toBe(3000);
    expect(delayMs(3000, 2, 0)).toBe(3000);
    expect(delayMs(3000, 2, 0.5)).toBe(7500);
    expect(delayMs(0, 3, 1)).toBe(7000);
    expect(delayMs(3000, 2000, 1)).toBe(33_000);
  });

  it("read Retry-After in seconds or as a date", () => {
    expect(retryAfterMs("120", 0)).toBe(120_000);
    expect(retryAfterMs("Thu, 01 Jan 1970 00:00:10 GMT", 4000)).toBe(6000);
    expect([
      retryAfterMs("Thu, 01 Jan 1970 00:00:10 GMT", 20_000),
      retryAfterMs(null, 0),
      retryAfterMs("soon", 0),
    ]).toEqual([0, 0, 0]);
  });
});
