// WHATWG HTML 9.2.2, the EventSource interface, and 9.2.3's events.

const Source = headwater.HeadwaterEventSource;

sentence("readonly attribute USVString url: resolved, with its fragment", async (open) => {
  const base = self.document?.baseURI ?? location.href;
  is(open("answer?status=204#here").url, new URL("answer?status=204#here", base).href);
  is(open(new URL("/answer?status=204", base)).url, new URL("/answer?status=204", base).href);
});

sentence("a USVString is made of whatever is given", async (open) => {
  is(open(null).url, new URL("null", location.href).href);
  is(open(undefined).url, new URL("undefined", location.href).href);
  is(open(7).url, new URL("7", location.href).href);
  is(open({ toString: () => "/answer?status=204" }).url, new URL("/answer?status=204", location.href).href);
  const mine = new Error("mine");
  try {
    open({
      toString() {
        throw mine;
      },
    });
  } catch (error) {
    is(error === mine, true);
    return;
  }
  throw new Error("what toString throws is not thrown");
});

sentence('if urlRecord is failure, then throw a "SyntaxError" DOMException', async (open) => {
  const error = throws("SyntaxError", () => open("http://127.0.0.1:123456789/"));
  is([error instanceof DOMException, error.code], [true, DOMException.SYNTAX_ERR]);
  throws("SyntaxError", () => open("http://[::1/"));
});

sentence("the first argument is required, and it is a constructor", async () => {
  throws("TypeError", () => new Source());
  throws("TypeError", () => Source("/answer?status=204"));
});

sentence("withCredentials reflects the dictionary's member", async (open) => {
  const url = answer({ status: 204 });
  is(open(url).withCredentials, false);
  is(open(url, undefined).withCredentials, false);
  is(open(url, null).withCredentials, false);
  is(open(url, {}).withCredentials, false);
  is(open(url, { withCredentials: null }).withCredentials, false);
  is(open(url, { withCredentials: true }).withCredentials, true);
  is(open(url, { withCredentials: "yes" }).withCredentials, true);
});

sentence("CONNECTING, OPEN and CLOSED are constants of the interface and its objects", async (open) => {
  const source = open(answer({ hold: true }));
  ["CONNECTING", "OPEN", "CLOSED"].forEach((name, value) => {
    for (const target of [Source, Source.prototype]) {
      const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(target, name);
      is([target[name], writable, enumerable, configurable], [value, false, true, false]);
    }
    is([source[name], Object.hasOwn(source, name)], [value, false]);
  });
});

sentence("attributes and handlers are accessors of the prototype", async (open) => {
  const source = open(answer({ hold: true }));
  for (const name of ["url", "withCredentials", "readyState"]) {
    const { get, set } = Object.getOwnPropertyDescriptor(Source.prototype, name);
    is([typeof get, typeof set], ["function", "undefined"]);
  }
  for (const name of ["onopen", "onmessage", "onerror"]) {
    is([source[name], name in Source.prototype], [null, true]);
    const f = () => undefined;
    source[name] = f;
    is(source[name] === f, true);
    source[name] = "no function";
    is(source[name], null);
  }
  is(String(source), "[object EventSource]");
  is(source instanceof EventTarget, true);
});

sentence("readyState is CONNECTING, then OPEN, and CLOSED after close()", async (open) => {
  const source = open(answer({ piece: "data: 1\n\n", hold: true }));
  is(source.readyState, Source.CONNECTING);
  await next(source, "open");
  is(source.readyState, Source.OPEN);
  source.close();
  is(source.readyState, Source.CLOSED);
  source.close();
  is(source.readyState, Source.CLOSED);
});

sentence("a source that was closed fires nothing any more", async (open) => {
  const told = [];
  const listen = (source, name) =>
    ["open", "message", "error"].forEach((type) => source.addEventListener(type, () => told.push(name)));
  const never = open(answer({ piece: "data: 1\n\n" }));
  listen(never, "closed at once");
  never.close();
  const source = open(answer({ piece: ["data: 1\n\ndata: 2\n\n", "data: 3\n\n"] }));
  await new Promise((yes) => {
    source.onmessage = (event) => {
      source.close();
      listen(source, "closed at its first event");
      yes(event);
    };
  });
  // What would have come comes before what begins now.
  await data(open, ["data: a\n\n", "data: b\n\n"], 2);
  is(told, []);
});

sentence("open comes before the first message, and is a plain Event", async (open) => {
  const source = open(answer({ piece: "data: 1\n\n", hold: true }));
  const told = [];
  const opened = next(source, "open");
  source.onmessage = () => told.push("message");
  source.onopen = () => told.push("open");
  source.onerror = () => told.push("error");
  await next(source, "message");
  is(told, ["open", "message"]);
  const event = await opened;
  is([event.constructor === Event, event.bubbles, event.cancelable], [true, false, false]);
  is([event.target === source, "data" in event], [true, false]);
});

sentence("a message is a MessageEvent that neither bubbles nor is cancelable", async (open) => {
  const source = open(answer({ piece: "id: 5\ndata: 1\n\nevent: own\ndata: 2\n\n", hold: true }));
  const own = next(source, "own");
  for (const [event, type, value] of [
    [await next(source, "message"), "message", "1"],
    [await own, "own", "2"],
  ]) {
    is([event instanceof MessageEvent, event.type, event.data], [true, type, value]);
    is([event.bubbles, event.cancelable, event.lastEventId], [false, false, "5"]);
    is([event.origin, event.source, event.ports], [location.origin, null, []]);
    is(event.target === source, true);
  }
});

sentence("origin is that of the stream's final URL", async (open) => {
  const cors = "Access-Control-Allow-Origin: *";
  const there = elsewhere + answer({ piece: "data: 1\n\n", hold: true, header: cors });
  const direct = open(there);
  is((await next(direct, "message")).origin, elsewhere);
  direct.close();
  const moved = answer({ status: 302, header: `Location: ${there}` });
  is((await next(open(moved), "message")).origin, elsewhere);
});

sentence("listeners are called in their order, handlers where they were first set", async (open) => {
  const source = open(answer({ piece: "data: 1\n\n", hold: true }));
  const told = [];
  source.addEventListener("message", () => told.push(1));
  source.onmessage = () => told.push("never");
  source.addEventListener("message", { handleEvent: () => told.push(3) });
  source.onmessage = () => told.push(2);
  await next(source, "message");
  is(told, [1, 2, 3]);
});

sentence("it is an EventTarget for events of the page's own", async (open) => {
  const source = open(answer({ hold: true }));
  const mine = next(source, "mine");
  is(source.dispatchEvent(new MessageEvent("mine", { data: 4 })), true);
  is((await mine).data, 4);
});
