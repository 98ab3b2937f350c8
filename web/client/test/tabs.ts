// Tabs of one browser: Web Locks and broadcast channels between them, and tabs that are gone without a word.

import { vi } from "vitest";

interface Request {
  tab: Tab;
  grant: () => void;
}

/** What all tabs of one origin have in common. */
export class World {
  /** Who waits for each lock; the first has it. */
  readonly locks = new Map<string, Request[]>();
  readonly channels = new Set<Channel>();

  tab(): Tab {
    return new Tab(this);
  }

  release(name: string, request: Request): void {
    const queue = this.locks.get(name) ?? [];
    const at = queue.indexOf(request);
    if (at >= 0) {
      queue.splice(at, 1);
      if (at === 0) {
        queue[0]?.grant();
      }
    }
  }
}

class Channel {
  onmessage: ((event: { data: unknown }) => void) | undefined;
  isOpen = true;

  constructor(
    readonly world: World,
    readonly tab: Tab,
    readonly name: string,
  ) {
    world.channels.add(this);
  }

  postMessage(message: unknown): void {
    const data = structuredClone(message);
    for (const other of this.world.channels) {
      if (other !== this && other.name === this.name && this.isOpen) {
        setTimeout(() => other.isOpen && other.onmessage?.({ data }));
      }
    }
  }

  close(): void {
    this.isOpen = false;
    this.world.channels.delete(this);
  }
}

export class Tab {
  constructor(readonly world: World) {}

  /** Runs a script in this tab. */
  run<T>(script: () => T): T {
    const { world } = this;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- of the class below
    const tab = this;
    const request = this.#request.bind(this);
    vi.stubGlobal("navigator", { locks: { request } });
    vi.stubGlobal(
      "BroadcastChannel",
      class extends Channel {
        constructor(name: string) {
          super(world, tab, name);
        }
      },
    );
    try {
      return script();
    } finally {
      vi.unstubAllGlobals();
    }
  }

  /** It is gone: its locks are free, and nobody hears of it again. */
  kill(): void {
    for (const channel of this.world.channels) {
      if (channel.tab === this) {
        channel.close();
      }
    }
    for (const [name, queue] of this.world.locks) {
      for (const request of queue.filter(({ tab }) => tab === this)) {
        this.world.release(name, request);
      }
    }
  }

  #request(name: string, { signal }: { signal: AbortSignal }, f: () => unknown): Promise<unknown> {
    return new Promise((yes, no) => {
      const { world } = this;
      let isHeld = false;
      const request = {
        tab: this,
        grant: () =>
          setTimeout(() => {
            if (world.locks.get(name)?.[0] === request) {
              isHeld = true;
              void Promise.resolve(f()).then((value) => {
                world.release(name, request);
                yes(value);
              });
            }
          }),
      };
      signal.addEventListener("abort", () => {
        if (!isHeld) {
          world.release(name, request);
          no(signal.reason as Error);
        }
      });
      const queue = world.locks.get(name) ?? [];
      world.locks.set(name, queue);
      if (queue.push(request) === 1) {
        request.grant();
      }
    });
  }
}
