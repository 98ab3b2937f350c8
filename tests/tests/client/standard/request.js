// WHATWG HTML 9.2.3 and 9.2.4: requests, answers, reconnecting.

const CORS = "Access-Control-Allow-Origin: ";

/** Waits until a source is closed for good. */
async function closed(source) {
  const event = await next(source, "error");
  is([source.readyState, event instanceof Event, event.bubbles], [2, true, false]);
}

for (const type of [
  "text/event-stream",
  "text/event-stream;",
  "text/event-stream; charset=utf-8",
  "text/event-stream;charset=latin1",
  "Text/Event-Stream",
]) {
  sentence(`an answer of the type ${type} is a stream`, async (open) => {
    is((await next(open(answer({ type, piece: "data: 1\n\n", hold: true })), "message")).data, "1");
  });
}

for (const type of [
  "text/plain",
  "text/x-bogus",
  "text/event-streams",
  "text/event stream",
  "application/json",
  "",
]) {
  sentence(`an answer of the type "${type}" fails the connection`, async (open) => {
    await closed(open(answer({ type, piece: "data: 1\n\n" })));
  });
}

for (const status of [201, 204, 205, 210, 299, 400, 403, 404, 410]) {
  sentence(`an answer with the status ${status} fails the connection`, async (open) => {
    await closed(open(answer({ status, header: "Content-Length: 0" })));
  });
}

for (const status of [301, 302, 303, 307, 308]) {
  sentence(`a redirect with ${status} is followed`, async (open) => {
    const header = "Location: " + answer({ piece: "data: 1\n\n", hold: true });
    const source = open(answer({ status, header }));
    is((await next(source, "message")).data, "1");
    is(new URL(source.url).search.includes("status=" + status), true);
  });
}

for (const url of [
  "mailto:nobody@127.0.0.1",
  "ftp://127.0.0.1/",
  "about:blank",
  "this-scheme:is-none",
  "javascript:1",
]) {
  sentence(`${url} is tried, and fails by an event`, async (open) => {
    const source = open(url);
    is([source.url, source.readyState], [url, 0]);
    await closed(source);
  });
}

sentence("it accepts text/event-stream, and no cache answers", async (open) => {
  const source = open(answer({ piece: "data: {accept} {cache-control}\n\n", hold: true }));
  const [accept, cache] = (await next(source, "message")).data.split(" ");
  is(accept, hex("text/event-stream"));
  is(over === "xhr" || cache === hex("no-cache") || cache === hex("no-store"), true);
});

sentence("when the stream ends it is announced, and the connection reestablished", async (open) => {
  const source = open(answer({ piece: "retry: 1\ndata: {n}\n\n", then: "data: {n}\n\n", hold: "then" }));
  const told = [];
  for (const type of ["open", "message", "error"]) {
    source.addEventListener(type, () => told.push([type, source.readyState]));
  }
  is(
    (await some(source, 2)).map((event) => event.data),
    ["1", "2"],
  );
  is(told, [
    ["open", 1],
    ["message", 1],
    ["error", 0],
    ["open", 1],
    ["message", 1],
  ]);
});

sentence("Last-Event-ID is sent if there is one, encoded as UTF-8", async (open) => {
  for (const [id, field] of [
    ["id: 7", hex("7")],
    ["id: …文ü", hex("…文ü")],
    ["id: a\nid", "none"],
    [": no id", "none"],
  ]) {
    const source = open(
      answer({
        piece: `retry: 1\n${id}\ndata: {last-event-id}\n\n`,
        then: "data: {last-event-id}\n\n",
        hold: "then",
      }),
    );
    // WebKit encodes a header field that is not ASCII a second time.
    const twice = hex(String.fromCharCode(...new TextEncoder().encode("…文ü")));
    const [first, second] = (await some(source, 2)).map((event) => event.data);
    is([first, second === field || second === twice], ["none", true]);
    source.close();
  }
});

sentence("the last event ID outlives streams that set none", async (open) => {
  const then = "retry: 1\ndata: {last-event-id}\n\n";
  const source = open(answer({ piece: "retry: 1\nid: 9\ndata: 1\n\n", then }));
  const events = await some(source, 3);
  is(
    events.map((event) => event.data),
    ["1", hex("9"), hex("9")],
  );
  is(
    events.map((event) => event.lastEventId),
    ["9", "9", "9"],
  );
});

sentence("every event has the id of its own moment", async (open) => {
  const piece = Array.from({ length: 5 }, (_, number) => `id: ${number}\ndata: ${number}\n\n`);
  const events = await some(open(answer({ piece, hold: true })), 5);
  is(
    events.map((event) => [event.data, event.lastEventId]),
    [..."01234"].map((number) => [number, number]),
  );
});

sentence("another origin has to allow it, or the connection fails", async (open) => {
  const piece = "data: {cookie}\n\n";
  await closed(open(elsewhere + answer({ piece, hold: true })));
  await closed(open(elsewhere + answer({ piece, hold: true, header: CORS + "http://example.com" })));
  const allowed = elsewhere + answer({ piece, hold: true, header: CORS + "*" });
  is((await next(open(allowed), "message")).data, "none");
});

sentence("with credentials, another origin has to name this one", async (open) => {
  const piece = "data: 1\n\n";
  const init = { withCredentials: true };
  const credentials = "Access-Control-Allow-Credentials: true";
  await closed(open(elsewhere + answer({ piece, hold: true, header: [CORS + "*", credentials] }), init));
  await closed(open(elsewhere + answer({ piece, hold: true, header: CORS + location.origin }), init));
  const header = [CORS + location.origin, credentials];
  is((await next(open(elsewhere + answer({ piece, hold: true, header }), init), "message")).data, "1");
});

sentence("another origin is gone on at with the id, where it allows the header", async (open) => {
  const header = [CORS + "*", "Access-Control-Allow-Headers: Last-Event-ID"];
  const asked = {
    piece: "retry: 1\nid: 3\ndata: 1\n\n",
    then: "data: {last-event-id}\n\n",
    hold: "then",
    header,
  };
  is(
    (await some(open(elsewhere + answer(asked)), 2)).map((event) => event.data),
    ["1", hex("3")],
  );
});

if (self.document) {
  sentence(
    "a frame's source is relative to its own base, and document.domain changes no origin",
    async (open) => {
      const frame = document.createElement("iframe");
      frame.src = "/frames/inner.html";
      document.body.append(frame);
      await new Promise((yes) => (frame.onload = yes));
      const inner = new frame.contentWindow.headwater.HeadwaterEventSource("answer?status=204");
      is(new URL(inner.url).pathname, "/frames/answer");
      inner.close();
      frame.remove();
      document.domain = location.hostname;
      const source = open(answer({ piece: "data: 1\n\n", hold: true }));
      is((await next(source, "message")).origin, location.origin);
    },
  );
}
