// What a request of a connection looks like.

import type { ConnectionOptions } from "./contract.js";
import { EVENT_STREAM } from "./limits.js";
import type { WireRequest } from "./wire.js";

/** What to ask. A body makes it a POST, unless the method says otherwise. */
export interface Target {
  url: string;
  method?: string | undefined;
  body?: BodyInit | null | undefined;
}

/** What to add to an address; empty values are left out. */
export type Query = Record<string, string | number>;

/** The address with these names in its query, in place of any that it has. */
export function withQuery(url: string, query: Query): string {
  url = url.split("#")[0]!;
  for (const name in query) {
    const value = query[name]!;
    if (value !== "") {
      url = url.replace(new RegExp("([?&])" + name + "=[^&]*&?"), "$1").replace(/[?&]$/, "");
      url += (url.indexOf("?") < 0 ? "?" : "&") + name + "=" + encodeURIComponent(value);
    }
  }
  return url;
}

/**
 * The request for a target.
 *
 * @param id the place to go on from, for the header of an event stream, unless the query has it
 */
export function requestFor(
  { url, method, body }: Target,
  { headers, withCredentials }: ConnectionOptions,
  accept: string,
  query: Query,
  id: string,
  token: string | undefined,
): WireRequest {
  const fields: Record<string, string> = {};
  for (const name in headers) {
    fields[name] = headers[name]!;
  }
  fields.Accept = accept;
  if (typeof body === "string") {
    fields["Content-Type"] = fields["Content-Type"] || "application/x-www-form-urlencoded";
  }
  if (id && !(WHOLE && (accept !== EVENT_STREAM || query.lastEventId))) {
    // WHATWG HTML 9.2.3: "Let lastEventIDValue be the EventSource object's last event ID string, encoded as
    // UTF-8": each character of a header field stands for a byte.
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- in every engine, and nothing is shorter
    fields["Last-Event-ID"] = unescape(encodeURIComponent(id));
  }
  if (token !== undefined) {
    fields.Authorization = "Bearer " + token;
  }
  return {
    url: WHOLE ? withQuery(url, query) : url,
    method: method || (body ? "POST" : "GET"),
    headers: fields,
    body,
    withCredentials: !!withCredentials,
  };
}
