import { describe, expect, it } from "vitest";
import { createParser } from "../src/parser.js";

type Told = [type: string, data: string, id: string];

function parse(pieces: string[], lastEventId = "", lengthMax?: number) {
  const events: Told[] = [];
  const retries: number[] = [];
  let id = lastEventId;
  let tooLong = 0;
  const parser = createParser(
    {
      place: (place) => (id = place),
      event: (type, data) => events.push([type, data, id]),
      retry: (ms) => retries.push(ms),
      tooLong: () => tooLong++,
    },
    lastEventId,
    lengthMax,
  );
  pieces.forEach((piece) => parser.push(piece));
  return { events, retries, id, tooLong, isInside: parser.isInside() };
}

const events = (text: string) => parse([text]).events;
const one = (text: string) => events(text).map(([, data]) => data);

describe("WHATWG HTML 9.2.6", () => {
  it("ends lines with LF, CR or CRLF, mixed", () => {
    expect(one("data: a\ndata: b\rdata: c\r\ndata: d\r\r")).toEqual(["a\nb\nc\nd"]);
    expect(one("data: a\r\n\r\ndata: b\n\ndata: c\r\r")).toEqual(["a", "b", "c"]);
  });

  it("gives the same however the text is cut", () => {
    const text =
      "\r\nid: 1\r\nevent: x\r\ndata: a\r\rdata: b\n\r\nretry: 7\r\n:c\r\n\r\ndata\n\n\ndata:\u{1F600}\r\n\r\n";
    const whole = parse([text]);
    expect(whole.events).toEqual([
      ["x", "a", "1"],
      ["message", "b", "1"],
      ["message", "", "1"],
      ["message", "\u{1F600}", "1"],
    ]);
    for (let size = 1; size < text.length; size++) {
      const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g"))!;
      expect(parse(pieces)).toEqual(whole);
      expect(parse(pieces.flatMap((piece) => [piece, ""]))).toEqual(whole);
    }
  });

  it("dispatches at a lone CR without waiting for what follows", () => {
    expect(one("data: a\r\r")).toEqual(["a"]);
  });

  it("drops what has not ended", () => {
    expect(one("data: a\n\ndata: b\n")).toEqual(["a"]);
    expect(parse(["id: 2"]).id).toBe("");
    expect(parse(["id: 2\n"]).id).toBe("");
  });

  it('"If value starts with a U+0020 SPACE character, remove it from value."', () => {
    expect(one("data:  a\n\ndata:b\n\ndata:\tc\n\n")).toEqual([" a", "b", "\tc"]);
  });

  it("reads names exactly, and ignores what it does not know", () => {
    expect(one("Data: a\n data: b\ndata : c\nfoo: d\n\n")).toEqual([]);
    expect(one(":data: a\ndata: b\n\n")).toEqual(["b"]);
    expect(one("data\n\ndata\ndata\n\n")).toEqual(["", "\n"]);
  });

  it("sets the type for one event, and an empty one to message", () => {
    expect(
      events("event: a\ndata: 1\n\ndata: 2\n\nevent: b\nevent:\ndata: 3\n\n").map(([type]) => type),
    ).toEqual(["a", "message", "message"]);
    expect(events("event: a\n\ndata: 1\n\n")).toEqual([["message", "1", ""]]);
  });

  it('"If the field value does not contain U+0000 NULL, then set the last event ID buffer"', () => {
    const told = parse(["id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid\ndata: d\n\nid: 5\n\n"]);
    expect(told.events.map(([, , id]) => id)).toEqual(["1", "1", "1", ""]);
    expect(told.id).toBe("5");
  });

  it("keeps the id that was known before the stream", () => {
    expect(parse(["data: a\n\n"], "before").events).toEqual([["message", "a", "before"]]);
  });

  it('"If the field value consists of only ASCII digits" it is the reconnection time, at once', () => {
    expect(
      parse(["retry: 10\nretry:\nretry: 1000x\nretry: +5\nretry: 1 \nretry: ٣\nretry:007\nretry: 9"]).retries,
    ).toEqual([10, 7]);
  });

  it("takes no byte order mark away: that is done where bytes become text", () => {
    expect(one("\uFEFFdata: a\n\ndata: b\n\n")).toEqual(["b"]);
  });
});

describe("limits", () => {
  it("stops at a line or an event that is too long", () => {
    expect(parse(["x".repeat(11)], "", 10).tooLong).toBe(1);
    expect(parse(["data: 1234\n", "data: 5678\n", "data: 9\n"], "", 10).tooLong).toBe(1);
    expect(parse(["data: 1234567\n\n"], "", 10).tooLong).toBe(0);
  });

  it("reads a long line in short pieces in linear time", () => {
    // Quadratic, this would be 10^12 steps, and no patience would do.
    const pieces = ["data: ", ...Array<string>(100_000).fill("0123456789"), "\n\n"];
    expect(parse(pieces).events[0]![1]).toHaveLength(1_000_000);
  });

  it("knows whether it is inside a block", () => {
    expect(parse(["data: a\n\n"]).isInside).toBe(false);
    expect(parse(["data: a\n"]).isInside).toBe(true);
    expect(parse(["da"]).isInside).toBe(true);
    expect(parse([": comment\n\n"]).isInside).toBe(false);
  });
});
