// The incremental parser of text/event-stream: takes text in pieces of any size, tells of fields and blocks.
// Its cost is linear in the text, however it is cut into pieces.

/** What a parser tells while it reads. */
export interface ParserSink {
  /** A block has ended; this is the last event ID from here on. Comes before the block's event, if it has one. */
  place(lastEventId: string): void;
  /** An event is dispatched. */
  event(type: string, data: string): void;
  /** The stream sets the reconnection time, in milliseconds. */
  retry(ms: number): void;
  /** A line or an event is longer than what is kept of one; nothing more is read. */
  tooLong(): void;
}

export interface Parser {
  /** Reads the next piece of the stream. */
  push(text: string): void;
  /** Forgets what it has read of a block. */
  reset(): void;
  /** Whether a block has begun that has not ended. */
  isInside(): boolean;
}

/** The most that is kept of one event, in UTF-16 code units; the hub's own limit is 1 MiB. */
export const EVENT_LENGTH_MAX = 1 << 24;

/**
 * A parser that has read nothing. The byte order mark belongs to decoding, before the text gets here.
 *
 * @param lastEventId what the source already knows: it stays until the stream sets another
 */
export function createParser(sink: ParserSink, lastEventId: string, lengthMax = EVENT_LENGTH_MAX): Parser {
  // The line that has not ended. It is only added to, not searched again: that keeps a long line linear.
  let pending = "";
  let afterCr = false;
  let data = "";
  let type = "";
  let id = lastEventId;
  let inside = false;

  function endBlock(): void {
    // WHATWG HTML 9.2.6: "Set the last event ID string of the event source to the value of the last event ID
    // buffer. The buffer does not get reset".
    sink.place(id);
    const [ended, text] = [type, data];
    type = data = "";
    inside = false;
    // "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty
    // string and return."
    if (text) {
      // "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove the last
      // character from the data buffer."
      sink.event(ended || "message", text.slice(0, -1));
    }
  }

  function line(text: string): void {
    if (!text) {
      endBlock();
      return;
    }
    inside = true;
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    // "If value starts with a U+0020 SPACE character, remove it from value."
    const value = colon < 0 ? "" : text.slice(colon + (text.charAt(colon + 1) === " " ? 2 : 1));
    if (field === "data") {
      data += value + "\n";
    } else if (field === "event") {
      type = value;
    } else if (field === "id") {
      // "If the field value does not contain U+0000 NULL, then set the last event ID buffer to the field
      // value. Otherwise, ignore the field."
      if (value.indexOf("\0") < 0) {
        id = value;
      }
    } else if (field === "retry" && /^[0-9]+$/.test(value)) {
      // "If the field value consists of only ASCII digits, then interpret the field value as an integer in
      // base ten, and set the event stream's reconnection time to that integer."
      sink.retry(+value);
    }
  }

  function push(text: string): void {
    let from = afterCr && text.charAt(0) === "\n" ? 1 : 0;
    afterCr = afterCr && !text;
    let lf = text.indexOf("\n", from);
    let cr = text.indexOf("\r", from);
    while (lf >= 0 || cr >= 0) {
      const end = lf < 0 || (cr >= 0 && cr < lf) ? cr : lf;
      const whole = pending + text.slice(from, end);
      pending = "";
      from = end + 1;
      if (end === cr) {
        // A CR ends its line at once; an LF right behind it belongs to it, also when it comes later.
        if (lf === from) {
          from += 1;
        }
        afterCr = from === end + 1 && from === text.length;
        cr = text.indexOf("\r", from);
      }
      if (lf >= 0 && lf < from) {
        lf = text.indexOf("\n", from);
      }
      line(whole);
    }
    pending += text.slice(from);
    if (pending.length + data.length > lengthMax) {
      pending = data = "";
      sink.tooLong();
    }
  }

  function reset(): void {
    pending = data = type = "";
    inside = afterCr = false;
  }

  return { push, reset, isInside: () => inside || pending !== "" };
}
