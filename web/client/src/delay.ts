// How long to wait before the next attempt.

/** The most that a backoff adds to the reconnection time, in milliseconds. */
export const EXTRA_MAX_MS = 30_000;

/**
 * The reconnection time, and after failures a random share ("full jitter") of what doubles with each.
 *
 * WHATWG HTML 9.2.3: "Wait a delay equal to the reconnection time of the event source." and "Optionally, wait
 * some more. In particular, if the previous attempt failed, then user agents might introduce an exponential
 * backoff delay to avoid overloading a potentially already overloaded server."
 *
 * @param random between 0 and 1
 */
export function delayMs(retryMs: number, failures: number, random: number): number {
  // A reconnection time of 0 doubled would stay 0, and hammer a server that is down.
  const extra = Math.max(retryMs, 1000) * (Math.pow(2, failures) - 1);
  return retryMs + random * Math.min(extra, EXTRA_MAX_MS);
}

/** RFC 9110, 10.2.3: "Retry-After = HTTP-date / delay-seconds". Milliseconds; 0 if it says nothing. */
export function retryAfterMs(value: string | null, now: number): number {
  const ms = value && (/^[0-9]+$/.test(value) ? +value * 1000 : Date.parse(value) - now);
  return Math.max(ms || 0, 0);
}
