// What carries one request and its answer; the connection decides what to ask and what an answer means.

export interface WireRequest {
  url: string;
  method: string;
  headers: Record<string, string>;
  body?: BodyInit | null | undefined;
  withCredentials: boolean;
}

/** What a wire tells, in this order: at most one head, any number of texts, one end. */
export interface WireHandler {
  /** The answer has begun. `url` is where redirects led. */
  head(status: number, header: (name: string) => string | null, url: string): void;
  /** The next piece of the body, decoded as UTF-8. */
  text(piece: string): void;
  /** The body is complete; or nothing came, or it broke off. */
  end(isBroken: boolean): void;
}

export interface Wire {
  name: "fetch" | "xhr";
  /** Whether it keeps everything that it received until it is closed. */
  hoards?: boolean;
  /** Sends a request; returns what ends it, after which the handler hears nothing more. */
  open(request: WireRequest, handler: WireHandler): () => void;
}
