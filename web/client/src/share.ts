// One connection for all tabs: who holds a Web Lock leads, and feeds the others over a BroadcastChannel. When
// the leader's tab is gone, in whatever way, the lock passes to another, which goes on at the same place.

import type { ConnectionOptions, Transport } from "./contract.js";
import type { Feed, FeedSink, Status } from "./feed.js";

/** Whether the engine has what sharing takes. */
export const canShare = !!globalThis.navigator?.locks && !!globalThis.BroadcastChannel;

/** What each tab wants, by the tab's name. */
type Wants = Map<string, string[]>;

type Message =
  | { is: "want"; from: string; matchers: string[] }
  | { is: "all"; leader: string; wants: Wants; place: string; status: Status; over: Transport | undefined }
  | { is: "event"; type: string; data: string; place: string }
  | { is: "status"; status: Status; over: Transport | undefined };

/**
 * A feed that all tabs share that use the same name.
 *
 * @param open makes a connection of its own
 */
export function sharedFeed(
  name: string,
  open: (own: { options: ConnectionOptions; sink: FeedSink }) => Feed,
  sink: FeedSink,
): Feed {
  name = "headwater " + name;
  const me = Math.random().toString(36).slice(2);
  const { locks } = navigator;
  const channel = new BroadcastChannel(name);
  const abort = new AbortController();
  const { signal } = abort;
  const closed = new Promise<void>((go) => signal.addEventListener("abort", () => go()));
  let wants: Wants = new Map();
  let leader = "";
  let place = "";
  let status: Status = "connecting";
  let over: Transport | undefined;
  let own: Feed | undefined;
  let isHeld = false;

  const post = (message: Message): void => channel.postMessage(message);
  const union = (): string[] => [...new Set([...wants.values()].flat())];
  /** Holds a lock until this tab is gone, or has it for as long as `f` takes. */
  const lock = (of: string, f: () => unknown): void => {
    locks.request(of, { signal }, f).catch(() => undefined);
  };

  function say(): void {
    if (isHeld) {
      post({ is: "want", from: me, matchers: wants.get(me) ?? [] });
    }
  }

  function tell(): void {
    post({ is: "all", leader: me, wants, place, status, over });
  }

  function gone(from: string): void {
    wants.delete(from);
    own?.want(union());
  }

  /** Every tab holds a lock of its own: who gets it learns that the tab is gone. */
  function watch(from: string): void {
    if (from !== me) {
      lock(name + from, () => gone(from));
    }
  }

  function lead(): Promise<void> {
    wants.delete(leader);
    leader = me;
    own = open({
      options: { lastEventId: place },
      sink: {
        status(now, via) {
          post({ is: "status", status: (status = now), over: (over = via) });
          sink.status(now, via);
        },
        event(type, data, id) {
          post({ is: "event", type, data, place: (place = id) });
          sink.event(type, data, id);
        },
        failed: sink.failed,
      },
    });
    [...wants.keys()].forEach(watch);
    own.want(union());
    tell();
    return closed;
  }

  channel.onmessage = ({ data: message }: MessageEvent<Message>) => {
    if (message.is === "event") {
      place = message.place;
      sink.event(message.type, message.data, place);
    } else if (message.is === "status") {
      sink.status((status = message.status), (over = message.over));
    } else if (message.is === "want") {
      const isNew = !wants.has(message.from);
      wants.set(message.from, message.matchers);
      if (own) {
        own.want(union());
        if (isNew) {
          watch(message.from);
          tell();
        }
      }
    } else if (message.is === "all") {
      ({ leader, place } = message);
      wants = new Map(message.wants).set(me, wants.get(me) ?? []);
      sink.status((status = message.status), (over = message.over));
    }
  };
  // Who asks for the lock of a tab that does not hold it yet would take the tab for gone.
  lock(name + me, () => {
    isHeld = true;
    say();
    lock(name, lead);
    return closed;
  });
  return {
    want(matchers) {
      wants.set(me, matchers);
      say();
      own?.want(union());
    },
    close() {
      own?.close();
      abort.abort();
      channel.close();
    },
  };
}
