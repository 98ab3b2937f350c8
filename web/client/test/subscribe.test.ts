// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { subscribe } from "../src/index.js";
import { startHub, type Hub } from "./hub.js";
import { until } from "./until.js";

let hub: Hub;

beforeEach(() => {
  hub = startHub();
});

afterEach(() => vi.unstubAllGlobals());

it("tells how it stands, hands on typed events and gaps, and closes with a signal", async () => {
  const told: unknown[] = [];
  const abort = new AbortController();
  const subscription = subscribe<{ n: number }>("/events", ["a", { pattern: "/b/:c" }], {
    json: true,
    signal: abort.signal,
    onevent: ({ topics, data }) => told.push([topics[0], data.n]),
    ongap: ({ requested }) => told.push(["gap", requested]),
    onstatus: (status, transport) => told.push([status, transport]),
  });
  expect([subscription.status, subscription.transport]).toEqual(["connecting", undefined]);
  await until(() => subscription.status === "open");
  hub.publish("a", '{"n":1}');
  hub.lose();
  await until(() => told.length === 3);
  expect(subscription.lastEventId).toBe("#1");
  abort.abort();
  expect(told).toEqual([
    ["open", "fetch"],
    ["a", 1],
    ["gap", "#0"],
    ["closed", undefined],
  ]);
  await until(() => hub.open() === 0);
});

it("says which data is no JSON, and goes on", async () => {
  const errors: unknown[] = [];
  const got: unknown[] = [];
  const subscription = subscribe("/events", "a", {
    json: true,
    onevent: ({ data }) => got.push(data),
    onerror: (error) => errors.push(error),
  });
  await until(() => hub.open() === 1);
  hub.publish("a", "no JSON");
  hub.publish("a", "2");
  await until(() => got.length === 1);
  expect([got, errors.map((error) => error instanceof SyntaxError)]).toEqual([[2], [true]]);
  subscription.close();
});

it("hands on each event to a loop, however slow, and ends it with the subscription", async () => {
  const subscription = subscribe("/events", "a");
  const got: string[] = [];
  const loop = (async () => {
    for await (const { data } of subscription) {
      got.push(data);
      await new Promise((go) => setTimeout(go));
      if (got.length === 20) {
        subscription.close();
      }
    }
  })();
  await until(() => hub.open() === 1);
  const sent = Array.from({ length: 20 }, (_, number) => String(number));
  sent.forEach((data) => hub.publish("a", data));
  await loop;
  expect([got, subscription.status]).toEqual([sent, "closed"]);
});

it("lets go of the connection while a loop has too much to do, and comes back", async () => {
  const subscription = subscribe("/events", "a", { queueMax: 2 });
  const events = subscription[Symbol.asyncIterator]();
  const first = events.next();
  await until(() => hub.open() === 1);
  ["1", "2", "3", "4"].forEach((data) => hub.publish("a", data));
  await until(() => hub.open() === 0);
  const got: string[] = [];
  const rest = (async () => {
    for (let next = await first; !next.done; next = await events.next()) {
      got.push(next.value.data);
    }
  })();
  await until(() => hub.open() === 1);
  hub.publish("a", "5");
  await until(() => got.at(-1) === "5");
  expect(got.slice(0, 3)).toEqual(["1", "2", "3"]);
  subscription.close();
  await rest;
});

it("shares nothing where the engine cannot", async () => {
  vi.stubGlobal("BroadcastChannel", undefined);
  const tabs = [subscribe("/events", "a", { share: true }), subscribe("/events", "a", { share: true })];
  await until(() => hub.open() === 2);
  tabs.forEach((tab) => tab.close());
  await until(() => hub.open() === 0);
});
