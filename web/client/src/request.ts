// Addresses of the requests that a connection makes.

/** What to ask. A body makes it a POST, unless the method says otherwise. */
export interface Target {
  url: string;
  method?: string | undefined;
  body?: BodyInit | null | undefined;
}

/** The address with these names in its query, in place of any that it has; empty values are left out. */
export function withQuery(url: string, query: Record<string, string | number>): string {
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

/** The UTF-8 bytes of a text, each as the character that stands for it in a header field. */
export function bytesOf(text: string): string {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- in every engine, and nothing is shorter
  return unescape(encodeURIComponent(text));
}
