// A wire over fetch, whose body is read as it comes.

import type { Wire, WireHandler } from "./wire.js";

/** Reads a stream of bytes, or of text, to its end. */
export async function pump(
  reader: ReadableStreamDefaultReader<BufferSource | string> | undefined,
  handler: WireHandler,
): Promise<void> {
  // WHATWG HTML 9.2.5: "Streams must be decoded using the UTF-8 decode algorithm", which takes one byte order
  // mark away, as this does.
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true };
    if (done) {
      handler.end(false);
      return;
    }
    handler.text(typeof value === "string" ? value : decoder.decode(value, { stream: true }));
  }
}

export const fetchWire: Wire = {
  name: "fetch",
  open({ withCredentials, url, ...request }, handler) {
    const abort = new AbortController();
    const { signal } = abort;
    fetch(url, {
      ...(request as RequestInit),
      credentials: withCredentials ? "include" : "same-origin",
      cache: "no-store",
      signal,
    })
      .then((response) => {
        handler.head(response.status, (name) => response.headers.get(name), response.url);
        return pump(response.body?.getReader(), handler);
      })
      .catch(() => handler.end(true));
    return () => abort.abort();
  },
};
