// The times and sizes that a connection keeps to, and the names that it goes by.

/** What timers can count to. */
export const TIMER_MAX_MS = 0x7fffffff;
/** How long a long poll waits for its first event, in seconds; well below what proxies allow. */
export const WAIT_S = 25;
/** How long an attempt at a hub may take, in milliseconds, when a long poll beside it gets nothing either. */
export const CONNECT_MS = 10_000;
/** How much later than its first a page's second request may arrive at the hub, in milliseconds. */
export const LATE_MS = 1000;
/** When the answer of a hoarding wire is exchanged for a new one, in UTF-16 code units. */
export const HOARD_MAX = 1 << 20;
/** An answer of a long poll with so many events, or so long, may not have been all. */
export const PART_EVENTS = 500;
export const PART_LENGTH = 1 << 18;
/** So many answers in parts are waited for before the place counts as caught up. */
export const PARTS_MAX = 20;
/** As `since`: from now on. */
export const NOW = "0ms";
export const EVENT_STREAM = "text/event-stream";
export const JSON_TYPE = "application/json";
