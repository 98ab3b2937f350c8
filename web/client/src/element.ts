// <event-source src topics show>: fills itself with what arrives, and fires it as DOM events.

import { subscribe, type Subscription } from "./index.js";

/**
 * Attributes:
 * - `src`: the hub's address, `/events` if not said
 * - `topics`: separated by commas
 * - `show`: `text` (the newest event's data, the default), `append` (a line for each), `html`, or `none`
 * - `since`, `share`: as in `subscribe`
 *
 * Every event is fired from the element, with its type, as a MessageEvent that bubbles; so are `gap` and
 * `status`, as CustomEvents. The attribute `status` shows how it stands, for style sheets.
 */
export class EventSourceElement extends (globalThis.HTMLElement ?? Object) {
  static readonly observedAttributes = ["src", "topics", "since", "share"];

  #subscription: Subscription | undefined;
  #isDue = false;

  connectedCallback(): void {
    this.attributeChangedCallback();
  }

  disconnectedCallback(): void {
    this.#subscription?.close();
    this.#subscription = undefined;
  }

  attributeChangedCallback(): void {
    if (!this.#isDue) {
      this.#isDue = true;
      queueMicrotask(() => {
        this.#isDue = false;
        this.disconnectedCallback();
        if (this.isConnected) {
          this.#open();
        }
      });
    }
  }

  #open(): void {
    const topics = (this.getAttribute("topics") ?? "").split(",").map((topic) => topic.trim());
    const share = this.getAttribute("share");
    const fire = (type: string, detail: unknown): unknown =>
      this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true }));
    this.#subscription = subscribe(this.getAttribute("src") ?? "/events", topics.filter(Boolean), {
      since: this.getAttribute("since") ?? undefined,
      share: share === "" || (share ?? false),
      onevent: ({ type, data, id }) => {
        this.#show(data);
        this.dispatchEvent(new MessageEvent(type, { data, lastEventId: id, bubbles: true }));
      },
      ongap: (gap) => fire("gap", gap),
      onstatus: (status) => {
        this.setAttribute("status", status);
        fire("status", status);
      },
      onerror: (error) => fire("error", error),
    });
  }

  #show(data: string): void {
    const show = this.getAttribute("show");
    if (show === "html") {
      this.innerHTML = data;
    } else if (show === "append") {
      this.append(Object.assign(document.createElement("div"), { textContent: data }));
    } else if (show !== "none") {
      this.textContent = data;
    }
  }
}

globalThis.customElements?.define("event-source", EventSourceElement);
