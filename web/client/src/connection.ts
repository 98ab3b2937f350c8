// One connection to one address, kept up over whatever works: the state machine under every face of the
// client. It touches no DOM: wires, timers, the clock and randomness are its `Environment`. Written for engines
// of 2011: no promises, no collections.

import { dataOf, wholeAnswer, type Answer } from "./answer.js";
import type { Connection, ConnectionOptions, ConnectionSink, Transport } from "./contract.js";
import { delayMs, retryAfterMs } from "./delay.js";
import type { Environment } from "./environment.js";
import { exchange, passes, type Use } from "./exchange.js";
import * as limits from "./limits.js";
import { openNative } from "./native.js";
import { createParser, type Parser } from "./parser.js";
import { requestFor, withQuery, type Query, type Target } from "./request.js";
import { askForToken } from "./token.js";

/**
 * Connects, and keeps it up until it is closed or has failed.
 *
 * @param isHub whether the other side is known to be a hub; found out if not
 * @param types the events that a native EventSource listens for; nothing if there may be others
 */
export function connect(
  target: Target,
  options: ConnectionOptions,
  environment: Environment,
  sink: ConnectionSink,
  isHub: boolean,
  types?: string[],
): Connection {
  const { transport, getToken, headers, withCredentials } = options;
  const { wires, now, after, random, originOf } = environment;
  const silence = options.heartbeatTimeout || 45_000;
  const wire = (WHOLE && wires.filter(({ name }) => name === transport).shift()) || wires[0]!;
  const origin = originOf(target.url);
  const isForeign = origin !== environment.origin;
  const begun = WHOLE ? now() : 0;

  let id = options.lastEventId || "";
  let retry = 3000;
  let polling = WHOLE && (transport ? transport === "poll" : environment.memory!(origin));
  const isPlain = !(headers || getToken || id || target.method || target.body);
  let own =
    WHOLE && types && !polling && (transport ? transport === "eventsource" : isPlain)
      ? environment.native
      : undefined;

  /** Goes up whenever what is under way is given up: what that still says is not heard. */
  let run = 0;
  let end: (() => void) | undefined;
  let endProbe: (() => void) | undefined;
  let listenTo: ((type: string) => void) | undefined;
  let parser: Parser;
  let next: Target | undefined;
  /** The events that were handed on while the address changed: the new one has some of them too. */
  let seen: string[] = [];
  let token: string | undefined;
  let isRenewed = false;
  let isOpen: Transport | undefined;
  let wasOpen = false;
  let isWaiting = false;
  /** Whether what is under way has brought something. */
  let isOfUse = false;
  /** Attempts since the last that did. */
  let failures = 0;
  let heard = 0;
  let notBefore = 0;

  /** A function that does nothing once what is under way now is given up. */
  function during<A extends unknown[]>(f: (...given: A) => void): (...given: A) => void {
    const mine = run;
    return (...given) => {
      if (mine === run) {
        f(...given);
      }
    };
  }

  function stopProbe(): void {
    const f = WHOLE ? endProbe : undefined;
    endProbe = undefined;
    f?.();
  }

  function stop(): void {
    const f = end;
    run++;
    isOfUse = isWaiting = false;
    end = listenTo = undefined;
    stopProbe();
    f?.();
  }

  function fail(status: number, message: string): void {
    stop();
    sink.failed({ status, message });
  }

  function lose(atLeast: number, delay = delayMs(retry, failures++, random())): void {
    stop();
    isOpen = undefined;
    notBefore = now() + atLeast;
    const wait = during(() => {
      isWaiting = true;
      // Who was told to come back later does not come back with all others.
      const ms = Math.max(delay, atLeast && atLeast + random() * retry);
      after(Math.min(ms, limits.TIMER_MAX_MS), during(attempt));
    });
    sink.lost();
    wait();
  }

  /** Connects anew at once, and no longer over a native source, which shows too little. */
  function replace(): void {
    if (WHOLE && !transport) {
      own = undefined;
    }
    lose(0, 0);
  }

  function announce(over: Transport): void {
    wasOpen = true;
    if (isOpen !== over) {
      isOpen = over;
      sink.open(over);
    }
  }

  /** Something came, which shows that this way works. */
  function use(): void {
    isOfUse = true;
    failures = 0;
    heard = now();
    stopProbe();
  }

  function attempt(): void {
    stop();
    heard = now();
    if (getToken && token === undefined) {
      askForToken(
        getToken,
        during((given) => {
          token = given;
          send();
        }),
        during(() => lose(0)),
      );
    } else {
      send();
    }
  }

  function send(): void {
    watch();
    if (WHOLE && next && !(id && isHub)) {
      target = next;
      next = undefined;
    }
    if (WHOLE && next) {
      catchUp(limits.PARTS_MAX);
    } else if (WHOLE && own) {
      native();
    } else if (WHOLE && polling) {
      poll();
    } else {
      stream();
    }
    if (WHOLE && !polling && !transport) {
      after(options.openTimeout || 3000, during(probe));
    }
  }

  /** Gives up a hub that has been silent for too long, and a native source that slept. */
  function watch(): void {
    const due = now() + silence / 3;
    after(
      silence / 3,
      during(() => {
        // A native source shows no heartbeats; but a timer that is late says that everything stood still.
        if (isHub && (WHOLE && own ? (now() - due) / 2 : now() - heard) > silence) {
          replace();
        } else {
          watch();
        }
      }),
    );
  }

  function refuse(status: number, retryAfter: string | null, message: string): void {
    if (status === 401 && getToken && !isRenewed) {
      isRenewed = true;
      token = undefined;
      attempt();
    } else if (passes(status)) {
      lose(retryAfterMs(retryAfter, now()));
    } else {
      fail(status, message);
    }
  }

  function broke(): void {
    if (isHub || wasOpen || !isForeign) {
      lose(0);
    } else {
      // A script cannot tell a network that is lost from an origin that does not allow the page.
      // WHATWG HTML 9.2.3: "if res is a network error, then reestablish the connection, unless the user agent
      // knows that to be futile, in which case the user agent may fail the connection."
      fail(0, "no answer");
    }
  }

  /** Sends a request that has to be answered by what it accepts; returns what ends it. */
  function ask(accept: string, query: Query, use: Use): () => void {
    return exchange(wire, requestFor(target, options, accept, query, id, token), during, use);
  }

  function stream(): void {
    let from = "";
    let received = 0;
    const parsing = (parser = createParser(
      {
        place: during((place) => {
          id = place;
        }),
        event: during((type, data) => take(type, data, from)),
        retry: (ms) => {
          retry = ms;
        },
        tooLong: during(() => fail(200, "too long")),
      },
      id,
    ));
    end = ask(
      limits.EVENT_STREAM,
      // Where another origin would first have to allow the header, the query says the same.
      WHOLE && isHub && isForeign ? { lastEventId: id } : {},
      {
        head(header, url) {
          from = originOf(url);
          isHub = isHub || !!header("Headwater-Resume");
          isRenewed = false;
          // Any other server may be silent for as long as it likes.
          isOfUse = isOfUse || !isHub;
          announce(wire.name);
        },
        text(piece) {
          heard = now();
          const again = WHOLE && during(attempt);
          parsing.push(piece);
          if (
            again &&
            wire.hoards &&
            (received += piece.length) > limits.HOARD_MAX &&
            id &&
            !parsing.isInside()
          ) {
            again();
          }
        },
        end: (isBroken) => (isBroken ? broke() : lose(0)),
        refused: refuse,
      },
    );
  }

  function take(type: string, data: string, from: string): void {
    isHub = isHub || type === "hub.open";
    use();
    hand(type, data, from);
  }

  function hand(type: string, data: string, from: string): void {
    if (seen.indexOf(id) < 0) {
      if (WHOLE && next) {
        seen.push(id);
      }
      sink.event(type, data, id, from);
    }
  }

  function native(): void {
    const url = withQuery(target.url, isHub ? { lastEventId: id } : {});
    let errors = 0;
    [end, listenTo] = openNative(own!(url, !!withCredentials), types!, during, {
      open() {
        errors = 0;
        announce("eventsource");
      },
      event(type, event) {
        id = event.lastEventId;
        take(type, event.data, event.origin);
      },
      error(isOver) {
        isOpen = undefined;
        if (isOver && transport) {
          fail(0, "closed");
        } else if (isOver) {
          // It does not say why: another way finds out.
          own = undefined;
          attempt();
        } else if (isHub && errors++) {
          replace();
        } else {
          // It comes back by itself, after the reconnection time.
          sink.lost();
        }
      },
    });
  }

  /** Sends a long poll and hands on what it brings; then, unless it was given up meanwhile, calls `then`. */
  function askForJson(
    wait: number,
    since: string,
    yes: () => void,
    then: (count: number, length: number) => void,
    no: () => void,
    refused: typeof refuse,
  ): () => void {
    return ask(
      limits.JSON_TYPE,
      { lastEventId: since ? "" : id, wait, since },
      wholeAnswer(
        originOf,
        (answer, from, length) => {
          isHub = true;
          isRenewed = false;
          use();
          yes();
          deliver(answer, from, since === limits.NOW, () => then(answer.events.length, length));
        },
        no,
        refused,
      ),
    );
  }

  function deliver(
    { gap, events, last_event_id: last }: Answer,
    from: string,
    isMark: boolean,
    then: () => void,
  ): void {
    const mine = run;
    if (gap) {
      sink.event("hub.gap", JSON.stringify(gap), id, from);
    }
    // Where only a mark is asked for, what comes with it is behind it and comes again, in its order.
    (isMark ? [] : events).forEach((event) => {
      if (mine !== run) {
        return;
      }
      id = event.id;
      retry = event.retry ?? retry;
      hand(event.type, dataOf(event, target.url), from);
    });
    if (mine === run) {
      id = last;
      then();
    }
  }

  /** Nothing came in time: perhaps a proxy holds it back. Asks for an answer with an end, beside it. */
  function probe(): void {
    if (isOfUse) {
      return;
    }
    after(
      limits.CONNECT_MS,
      during(() => {
        if (isHub && !isOfUse) {
          lose(0);
        }
      }),
    );
    const isPlaced = id || /[?&](since|last_?event_?id)=/i.test(target.url);
    endProbe = askForJson(
      0,
      // What was published meanwhile belongs to who is waiting for it.
      isPlaced ? "" : `${now() - begun + limits.LATE_MS}ms`,
      () => {
        polling = environment.memory!(origin, true);
        own = undefined;
        stop();
        announce("poll");
      },
      attempt,
      ignore,
      ignore,
    );
  }

  function poll(): void {
    const wait = isOpen === "poll" ? limits.WAIT_S : 0;
    const asked = now();
    end = askForJson(
      wait,
      "",
      () => announce("poll"),
      (count) => {
        // Whoever does not wait is not asked all the time.
        const rest = wait && !count && now() - asked < 1000 ? 1000 : 0;
        after(rest, during(attempt));
      },
      broke,
      (status, retryAfter, message) => {
        if (isHub || transport || passes(status)) {
          refuse(status, retryAfter, message);
        } else {
          // What was remembered was of something else.
          polling = environment.memory!(origin, false);
          attempt();
        }
      },
    );
  }

  /** Hands on what the old address still has, as its new one begins at `mark`, which comes first. */
  function catchUp(parts: number, mark?: string): void {
    const place = id;
    end = askForJson(
      0,
      mark ? "" : limits.NOW,
      ignore,
      (count, length) => {
        if (!mark) {
          mark = id;
          id = place;
          catchUp(parts, mark);
        } else if (parts && (count >= limits.PART_EVENTS || length >= limits.PART_LENGTH)) {
          catchUp(parts - 1, mark);
        } else {
          target = next!;
          next = undefined;
          id = mark;
          attempt();
        }
      },
      () => lose(0),
      refuse,
    );
  }

  attempt();
  return {
    lastEventId: () => id,
    retryMs: () => retry,
    close: stop,
    reset: () => parser.reset(),
    listen(type) {
      if (WHOLE && types && types.indexOf(type) < 0) {
        types.push(type);
        listenTo?.(type);
      }
    },
    move(to, isLive) {
      seen = [];
      if (WHOLE && isLive) {
        next = to;
      } else {
        target = to;
        next = undefined;
      }
      attempt();
    },
    wake(isNetworkNew) {
      if (isWaiting) {
        if (now() >= notBefore) {
          attempt();
        }
      } else if (isHub && (isNetworkNew || now() - heard > silence)) {
        replace();
      }
    },
  };
}

const ignore = (): void => undefined;
