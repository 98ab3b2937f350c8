// One request and its answer: what was wanted, or a refusal with its reason.

import type { Wire, WireRequest } from "./wire.js";

/** Who gets the answer. */
export interface Use {
  /** It is what was wanted. */
  head: (header: (name: string) => string | null, url: string) => void;
  text: (piece: string) => void;
  end: (isBroken: boolean) => void;
  /** It is not. */
  refused: (status: number, retryAfter: string | null, message: string) => void;
}

/** The most that is read of an answer that says what is wrong, in UTF-16 code units. */
const PROBLEM_MAX = 1 << 14;

/**
 * Sends a request that has to be answered by what it accepts; returns what ends it.
 *
 * @param during makes a function deaf once the exchange is given up
 */
export function exchange(
  wire: Wire,
  request: WireRequest,
  during: <A extends unknown[]>(f: (...given: A) => void) => (...given: A) => void,
  use: Use,
): () => void {
  let refusal: ((message: string) => void) | undefined;
  let problem = "";
  return wire.open(request, {
    head: during((status, header, url) => {
      const type = (header("Content-Type") || "").split(";")[0]!.trim().toLowerCase();
      // WHATWG HTML 9.2.3: "if res's status is not 200, or if res's `Content-Type` is not
      // `text/event-stream`, then fail the connection".
      if (status === 200 && type === request.headers.Accept) {
        use.head(header, url);
        return;
      }
      refusal = during((message) => use.refused(status, header("Retry-After"), message));
      if (!WHOLE || passes(status) || type !== "application/problem+json") {
        refusal(`${status} ${type}`);
      }
    }),
    text: during((piece) => {
      if (WHOLE && refusal) {
        problem = (problem + piece).slice(0, PROBLEM_MAX);
      } else {
        use.text(piece);
      }
    }),
    end: during((isBroken) => {
      if (WHOLE && refusal) {
        // RFC 9457: "The canonical model for problem details is a JSON object."
        const explained = parse(problem) as { detail?: string } | undefined;
        refusal(explained?.detail ?? "");
      } else {
        use.end(isBroken);
      }
    }),
  });
}

/** Whether a refusal will pass: a timeout, too early, too many, or whatever is the server's fault. */
export function passes(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

/** JSON, if it is. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
