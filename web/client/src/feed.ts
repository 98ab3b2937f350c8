// Where a subscription's events come from: a connection of its own, or one that tabs share.

import { environment, keepAwake } from "./browser.js";
import { connect } from "./connection.js";
import type { Connection, ConnectionOptions, Failure, Transport } from "./contract.js";
import type { Target } from "./request.js";

export type Status = "connecting" | "open" | "polling" | "closed";

export interface FeedSink {
  status: (status: Status, transport?: Transport) => void;
  /** An event, or one of the hub's own. `data` is JSON. */
  event: (type: string, data: string, lastEventId: string) => void;
  failed: (failure: Failure) => void;
}

export interface Feed {
  /** Goes on with these matchers, each a pair of a query such as `topic=a`. */
  want(matchers: string[]): void;
  /** Lets go of the connection until something is wanted again; goes on at the same place. */
  pause?(): void;
  close(): void;
}

/** A longer list of matchers is sent as a form: the hub takes 8 KiB of address. */
const QUERY_MAX = 4000;

/** A connection of its own. */
export function ownFeed(
  url: string,
  options: ConnectionOptions & { types?: string[] | undefined },
  sink: FeedSink,
): Feed {
  let connection: Connection | undefined;
  let end: (() => void) | undefined;
  let before: string[] = [];
  let isPaused = false;

  const close = (): void => {
    end?.();
    end = connection = undefined;
  };
  return {
    want(matchers) {
      const isLive = matchers.some((matcher) => !before.includes(matcher));
      if (connection && !isPaused && !isLive && matchers.length === before.length) {
        return;
      }
      before = matchers;
      isPaused = false;
      if (!matchers.length) {
        close();
        sink.status("connecting");
        return;
      }
      const list = matchers.join("&");
      const inQuery = list.length < QUERY_MAX;
      const target: Target = {
        url: url + (url.includes("?") ? "&" : "?") + "envelope=json" + (inQuery ? "&" + list : ""),
        body: inQuery ? undefined : list,
      };
      if (connection) {
        connection.move(target, isLive);
        return;
      }
      connection = connect(
        target,
        options,
        environment,
        {
          open: (over) => sink.status(over === "poll" ? "polling" : "open", over),
          event: sink.event,
          lost: () => sink.status("connecting"),
          failed: sink.failed,
        },
        true,
        options.types?.slice(),
      );
      end = keepAwake(connection);
    },
    pause() {
      isPaused = true;
      connection?.close();
    },
    close,
  };
}
