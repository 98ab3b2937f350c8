// WHATWG HTML 9.2.5 and 9.2.6: parsing and interpreting an event stream.

sentence("lines are ended by CRLF, by LF, or by CR", async (open) => {
  is(await data(open, "data: 1\r\n\r\ndata: 2\n\ndata: 3\r\rdata: 4\r\n\ndata: 5\n\r\ndata: 6\r\r\n", 6), [
    ..."123456",
  ]);
});

sentence("a CR at the end of a piece ends its line, and an LF behind it belongs to it", async (open) => {
  is(await data(open, ["data: 1\r", "\ndata: 2\r", "\n\r", "\ndata: 3\r", "\r"], 2), ["1\n2", "3"]);
});

sentence("pieces may end anywhere, also inside a character", async (open) => {
  const cut = ["da", "ta", ": ", bytes("%E6"), bytes("%96"), bytes("%87"), "\n", "\n"];
  is(await data(open, cut, 1), ["文"]);
});

sentence("streams must be decoded using the UTF-8 decode algorithm", async (open) => {
  is(await data(open, [bytes("data%3A%20a%FFb%C3%28%0A%0A")], 1), ["a\uFFFDb\uFFFD("]);
  const type = "text/event-stream;charset=windows-1251";
  is((await next(open(answer({ type, piece: "data: ъ文\n\n", hold: true })), "message")).data, "ъ文");
});

sentence("one leading byte order mark is ignored", async (open) => {
  is(await data(open, "\uFEFFdata: 1\n\n\uFEFFdata: 2\n\ndata: 3\n\n", 2), ["1", "3"]);
  is(await data(open, "\uFEFF\uFEFFdata: 1\n\ndata: 2\n\n", 1), ["2"]);
});

sentence("a line that starts with a colon is ignored", async (open) => {
  is(await data(open, ": data: 0\n:\ndata: 1\n: between\ndata: 2\n\n", 1), ["1\n2"]);
});

sentence("one space behind the colon is removed, and no more", async (open) => {
  is(await data(open, "data:a\ndata: b\ndata:  c\ndata:\td\ndata:e \n\n", 1), ["a\nb\n c\n\td\ne "]);
});

sentence("a line without a colon is a field with an empty value", async (open) => {
  is(await data(open, "data\n\ndata\ndata\n\ndata:\n\n", 3), ["", "\n", ""]);
});

sentence("other field names are ignored, and names are compared as they are", async (open) => {
  const odd = "Data: 0\nDATA: 0\n data: 0\ndata : 0\nda\0ta: 0\ndatax: 0\nx\n: 0\ndata: 1\n\n";
  is(await data(open, odd, 1), ["1"]);
});

sentence("event names the type, which is message if it is empty, and lasts for one block", async (open) => {
  const source = open(
    answer({
      piece: "event: a\n\ndata: 1\n\nevent: a\nevent: b\ndata: 2\n\nevent:\ndata: 3\n\n",
      hold: true,
    }),
  );
  const b = next(source, "b");
  const told = [];
  source.addEventListener("a", () => told.push("a"));
  const messages = await some(source, 2);
  is([messages.map((event) => event.data), (await b).data, told], [["1", "3"], "2", []]);
});

sentence("types may be any text", async (open) => {
  const source = open(answer({ piece: "event: über 文\ndata: 1\n\n", hold: true }));
  is((await next(source, "über 文")).data, "1");
});

sentence("a server's own open and error events are messages like others", async (open) => {
  const source = open(
    answer({ piece: "event: error\ndata: 1\n\nevent: open\ndata: 2\n\ndata: 3\n\n", hold: true }),
  );
  const told = [];
  source.onerror = ({ data }) => told.push(["error", data, source.readyState]);
  source.onopen = ({ data }) => told.push(["open", data ?? null]);
  await next(source, "message");
  is(told, [
    ["open", null],
    ["error", "1", 1],
    ["open", "2"],
  ]);
});

sentence("data may hold NUL and be long", async (open) => {
  is(await data(open, "data: a\0b\n\n", 1), ["a\0b"]);
  const long = "0123456789".repeat(500);
  is(await data(open, ["data: ", long, long, "\n\n"], 1), [long + long]);
});

sentence("a block that the stream ends in is discarded", async (open) => {
  const cut = { piece: "retry: 1\ndata: 1\n\nevent: never\nid: never\ndata: never\n", hold: "then" };
  const source = open(answer({ ...cut, then: "data: {last-event-id}\n\n" }));
  is(
    (await some(source, 2)).map((event) => event.data),
    ["1", "none"],
  );
});

sentence("the last event ID stays until a stream sets another", async (open) => {
  const piece = "id: 1\ndata\n\ndata\n\nid\ndata\n\nid: x: y \ndata\n\n";
  const events = await some(open(answer({ piece, hold: true })), 4);
  is(
    events.map((event) => event.lastEventId),
    ["1", "1", "", "x: y "],
  );
});

sentence("an id without data counts", async (open) => {
  const piece = "id: 1\ndata\n\nid: 2\n\ndata\n\n";
  const events = await some(open(answer({ piece, hold: true })), 2);
  is(
    events.map((event) => event.lastEventId),
    ["1", "2"],
  );
});

sentence("an id that holds NUL is ignored", async (open) => {
  const source = open(answer({ piece: "id: 1\ndata\n\nid: a\0b\ndata\n\nid: \0\ndata\n\n", hold: true }));
  is(
    (await some(source, 3)).map((event) => event.lastEventId),
    ["1", "1", "1"],
  );
});

sentence("retry counts only if it is ASCII digits", async (open) => {
  // Each of these, were it taken, would keep it away for longer than anybody waits.
  const odd = ["1000000x", "+1000000", "1000000.5", "1e9", " 1000000", "", "-1", "１００００００"];
  const piece = "retry: 1\n" + odd.map((value) => `retry: ${value}\n`).join("") + "data: 1\n\n";
  const source = open(answer({ piece, then: "data: 2\n\n", hold: "then" }));
  is(
    (await some(source, 2)).map((event) => event.data),
    ["1", "2"],
  );
});
