// A wire over XMLHttpRequest, whose text is read as it grows. Written for engines of 2011 too.

import type { Wire } from "./wire.js";

export const xhrWire: Wire = {
  name: "xhr",
  hoards: true,
  open(request, handler) {
    const xhr = new XMLHttpRequest();
    let over = false;
    let headed = false;
    let seen = 0;
    let isSent = false;
    const look = (): void => {
      const state = xhr.readyState;
      let status = 0;
      let text = "";
      if (over || state < 2) {
        return;
      }
      if (!isSent) {
        // What fails on the spot fails later, as over every other wire.
        setTimeout(look);
        return;
      }
      try {
        status = xhr.status;
        text = xhr.responseText;
      } catch {
        // Old engines let nobody look before the end.
      }
      if (!headed && status) {
        headed = true;
        handler.head(status, (name) => xhr.getResponseHeader(name), xhr.responseURL || request.url);
      }
      // Each of these may have closed it.
      if (!over && headed && text.length > seen) {
        const piece = text.slice(seen);
        seen = text.length;
        handler.text(piece);
      }
      if (!over && state > 3) {
        over = true;
        handler.end(!status);
      }
    };
    xhr.onreadystatechange = look;
    xhr.open(request.method, request.url, true);
    if (request.withCredentials) {
      xhr.withCredentials = true;
    }
    for (const name in request.headers) {
      xhr.setRequestHeader(name, request.headers[name]!);
    }
    // WHATWG HTML 9.2.5: "Streams must be decoded using the UTF-8 decode algorithm", whatever charset the
    // answer names. Old engines show the overriding type as if it were the answer's.
    if ("responseURL" in xhr) {
      xhr.overrideMimeType("text/plain; charset=utf-8");
    }
    xhr.send((request.body as XMLHttpRequestBodyInit | undefined) || null);
    isSent = true;
    return () => {
      over = true;
      xhr.abort();
    };
  },
};
