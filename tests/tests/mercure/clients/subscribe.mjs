// Subscribes with a client that nobody here wrote, and tells on stdout what it tells: a line for each time
// that it opens and for each message.
//
// node subscribe.mjs eventsource|fetch-event-source URL TOKEN
import { createRequire } from 'node:module';

const [client, url, token] = process.argv.slice(2);
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const told = (type, message) => {
  // As applications do: what is no JSON would be an error here.
  tell({ type, id: message.lastEventId ?? message.id, data: JSON.parse(message.data) });
};

const clients = {
  async eventsource() {
    const { EventSource } = await import('eventsource');
    const source = new EventSource(url, {
      fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers } }),
    });
    source.onopen = () => tell({ open: true });
    source.onerror = (error) => process.stderr.write(`${error.message}\n`);
    source.onmessage = (message) => told('message', message);
    source.addEventListener('mercure', (message) => told('mercure', message));
  },

  async 'fetch-event-source'() {
    // It is made for pages.
    globalThis.window = globalThis;
    globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
    const require = createRequire(import.meta.url);
    const { fetchEventSource } = require('@microsoft/fetch-event-source');
    await fetchEventSource(url, {
      headers,
      openWhenHidden: true,
      async onopen(response) {
        if (!response.ok) throw new Error(`status ${response.status}`);
        tell({ open: true });
      },
      onmessage: (message) => told(message.event || 'message', message),
      // By itself it takes the end of a stream for the end of all.
      onclose() {
        throw new Error('closed');
      },
      onerror: (error) => {
        process.stderr.write(`${error.stack}\n`);
        if (error instanceof SyntaxError) throw error;
      },
    });
  },

  // No client, but what a page does that knows of RFC 10008.
  async query() {
    const body = new URLSearchParams(new URL(url).search);
    const type = 'application/x-www-form-urlencoded';
    const hub = url.split('?')[0];
    const response = await fetch(hub, {
      method: 'QUERY',
      headers: { ...headers, 'Content-Type': type },
      body,
    });
    tell({ open: response.status === 200 });
    for await (const piece of response.body) process.stdout.write(piece);
  },
};

// A timer until it comes back does not keep Node alive.
setInterval(() => {}, 60_000);
await clients[client]();
