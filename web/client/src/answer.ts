// The answer of a long poll: read to its end, and told event by event.

import { parse, type Use } from "./exchange.js";

interface AnsweredEvent {
  id: string;
  type: string;
  data: string;
  retry?: number;
}

export interface Answer {
  events: AnsweredEvent[];
  last_event_id: string;
  gap?: unknown;
}

/**
 * What reads an answer to its end.
 *
 * @param yes gets it, with the origin that it is of and how long it was
 * @param no is told that what came is none
 */
export function wholeAnswer(
  originOf: (url: string) => string,
  yes: (answer: Answer, from: string, length: number) => void,
  no: () => void,
  refused: Use["refused"],
): Use {
  let text = "";
  let from = "";
  return {
    head(_header, url) {
      from = originOf(url);
    },
    text(piece) {
      text += piece;
    },
    end() {
      const answer = parse(text) as Answer | undefined;
      if (answer && answer.last_event_id) {
        yes(answer, from, text.length);
      } else {
        no();
      }
    },
    refused,
  };
}

/** An event's data as an event stream of this address has it. */
export function dataOf(event: AnsweredEvent, url: string): string {
  // Over an event stream, line breaks arrive as LF.
  return /[?&]envelope=json/.test(url) ? JSON.stringify(event) : event.data.replace(/\r\n?/g, "\n");
}
