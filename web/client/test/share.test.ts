import { expect, it } from "vitest";
import type { ConnectionOptions } from "../src/contract.js";
import type { Feed, FeedSink } from "../src/feed.js";
import { sharedFeed } from "../src/share.js";
import { World, type Tab } from "./tabs.js";
import { until } from "./until.js";

/** A connection that the tab holds which leads. */
interface Own {
  options: ConnectionOptions;
  sink: FeedSink;
  wanted: string[];
  isClosed: boolean;
}

interface Page {
  tab: Tab;
  feed: Feed;
  told: string[];
  got: string[];
  own: Own | undefined;
}

function openTab(world: World, ...matchers: string[]): Page {
  const tab = world.tab();
  const page: Partial<Page> & Pick<Page, "told" | "got"> = { tab, told: [], got: [] };
  page.feed = tab.run(() =>
    sharedFeed(
      "/events",
      ({ options, sink }) => {
        const own: Own = { options, sink, wanted: [], isClosed: false };
        page.own = own;
        return {
          want(wanted) {
            own.wanted = [...wanted].sort();
          },
          close() {
            own.isClosed = true;
          },
        };
      },
      {
        status: (status, over) => page.told.push(`${status} ${over}`),
        event: (type, data, id) => page.got.push(`${type} ${data} ${id}`),
        failed: ({ message }) => page.told.push(`failed ${message}`),
      },
    ),
  );
  page.feed.want(matchers);
  return page as Page;
}

it("one tab leads, and feeds all of them with what any of them wants", async () => {
  const world = new World();
  const first = openTab(world, "topic=a");
  await until(() => first.own);
  const second = openTab(world, "topic=a", "topic=b");
  await until(() => first.own!.wanted.length === 2);
  expect([first.own!.wanted, second.own]).toEqual([["topic=a", "topic=b"], undefined]);

  first.own!.sink.status("open", "fetch");
  first.own!.sink.event("message", "{}", "#1");
  await until(() => second.got.length === 1);
  expect([first.got, second.got]).toEqual([["message {} #1"], ["message {} #1"]]);
  expect(second.told.at(-1)).toBe("open fetch");
  // A tab that comes later is told how it stands.
  const third = openTab(world, "topic=c");
  await until(() => third.told.includes("open fetch"));
  expect(first.own!.wanted).toEqual(["topic=a", "topic=b", "topic=c"]);
  expect(third.got).toEqual([]);
});

it("when the leader is gone another goes on at the same place, with what is still wanted", async () => {
  const world = new World();
  const first = openTab(world, "topic=mine");
  await until(() => first.own);
  const others = [openTab(world, "topic=a"), openTab(world, "topic=b")];
  await until(() => first.own!.wanted.length === 3);
  first.own!.sink.event("message", "{}", "#1");
  await until(() => others.every(({ got }) => got.length === 1));

  first.tab.kill();
  const leader = (): Page | undefined => others.find(({ own }) => own);
  await until(() => leader()?.own?.wanted.length === 2);
  const { own } = leader()!;
  expect([own!.options.lastEventId, own!.wanted]).toEqual(["#1", ["topic=a", "topic=b"]]);
  own!.sink.event("message", "{}", "#2");
  await until(() => others.every(({ got }) => got.length === 2));
  expect(first.got).toHaveLength(1);
});

it("a tab that closes or dies takes along only what it alone wanted", async () => {
  const world = new World();
  const first = openTab(world, "topic=a");
  await until(() => first.own);
  const closes = openTab(world, "topic=a", "topic=b");
  const dies = openTab(world, "topic=c");
  await until(() => first.own!.wanted.length === 3);
  closes.feed.close();
  await until(() => first.own!.wanted.length === 2);
  expect(first.own!.wanted).toEqual(["topic=a", "topic=c"]);
  dies.tab.kill();
  await until(() => first.own!.wanted.length === 1);
  first.feed.want(["topic=z"]);
  await until(() => first.own!.wanted[0] === "topic=z");
});

it("a leader that closes ends its connection and hands over", async () => {
  const world = new World();
  const first = openTab(world, "topic=a");
  await until(() => first.own);
  const second = openTab(world, "topic=b");
  await until(() => first.own!.wanted.length === 2);
  first.own!.sink.event("message", "{}", "#7");
  await until(() => second.got.length === 1);
  first.feed.close();
  expect(first.own!.isClosed).toBe(true);
  await until(() => second.own?.wanted.length === 1);
  expect([second.own!.options.lastEventId, second.own!.wanted]).toEqual(["#7", ["topic=b"]]);
});
