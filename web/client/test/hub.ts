// A hub behind the page's `fetch`: streams of what is published while they are open, and nothing of what was before.

import { vi } from "vitest";

interface Stream {
  topics: string[];
  push: (text: string) => void;
}

export interface Hub {
  /** The topics of every stream that was asked for. */
  asked: string[][];
  /** How many streams are open. */
  open: () => number;
  publish: (topic: string, data: string, type?: string) => void;
  /** Tells everybody that something may be missing. */
  lose: () => void;
}

export function startHub(): Hub {
  const streams = new Set<Stream>();
  const asked: string[][] = [];
  let last = 0;

  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    const topics = new URL(url).searchParams.getAll("topic");
    const { Accept } = init.headers as Record<string, string>;
    if (Accept === "application/json") {
      return Promise.resolve(answer(url, Accept, JSON.stringify({ events: [], last_event_id: `#${last}` })));
    }
    asked.push(topics);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const stream = { topics, push: (text: string) => controller.enqueue(new TextEncoder().encode(text)) };
        streams.add(stream);
        stream.push(`:\nevent: hub.open\nretry: 1\ndata: {"resume":"live"}\nid: #${last}\n\n`);
        init.signal?.addEventListener("abort", () => {
          streams.delete(stream);
          controller.error(init.signal?.reason);
        });
      },
    });
    return Promise.resolve(answer(url, "text/event-stream", body));
  });

  function push(topic: string | undefined, block: string): void {
    for (const stream of streams) {
      if (topic === undefined || stream.topics.includes(topic)) {
        stream.push(block);
      }
    }
  }
  return {
    asked,
    open: () => streams.size,
    publish(topic, data, type = "message") {
      const id = `#${++last}`;
      const event = { id, topics: [topic], type, data, time: "2026-01-01T00:00:00Z" };
      push(topic, `event: ${type}\ndata: ${JSON.stringify(event)}\nid: ${id}\n\n`);
    },
    lose: () => push(undefined, `event: hub.gap\ndata: {"requested":"#0","resumed":null}\nid: #${last}\n\n`),
  };
}

function answer(url: string, type: string, body: BodyInit): Response {
  const response = new Response(body, { headers: { "Content-Type": type } });
  return Object.defineProperty(response, "url", { value: url });
}
