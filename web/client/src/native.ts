// The engine's own EventSource, as a way to connect: it tells no status and no comments, but is there already.

import type { NativeSource } from "./environment.js";

/** What a native source tells. */
export interface NativeUse {
  open: () => void;
  event: (type: string, event: MessageEvent<string>) => void;
  /** It has lost its connection; for good, or until it has reconnected by itself. */
  error: (isOver: boolean) => void;
}

/** The hub's own events, which have to be asked for by name. */
const HUB_TYPES = ["hub.open", "hub.gap", "hub.checkpoint"];

/**
 * Listens to a source for these types of event.
 *
 * @returns what ends it, and what makes it listen for another type
 */
export function openNative(
  source: NativeSource,
  types: string[],
  during: <A extends unknown[]>(f: (...given: A) => void) => (...given: A) => void,
  use: NativeUse,
): [end: () => void, listenTo: (type: string) => void] {
  const listenTo = (type: string): void => {
    source.addEventListener(
      type,
      during((event) => {
        // What the server calls `open` or `error` has data; the source's own events have none.
        if ("data" in event) {
          use.event(type, event);
        }
      }),
    );
  };
  source.onopen = during((event) => {
    if (!("data" in event)) {
      use.open();
    }
  });
  source.onerror = during((event) => {
    if (!("data" in event)) {
      use.error(source.readyState > 1);
    }
  });
  HUB_TYPES.concat(types).forEach(listenTo);
  return [() => source.close(), listenTo];
}
