// A React hook.

import { useEffect, useRef, useState } from "react";
import { subscribe, type HubEvent, type Matcher, type Status, type SubscribeOptions } from "./index.js";

/** What a component sees. */
export interface Subscribed<T> {
  /** The newest event. */
  event: HubEvent<T> | undefined;
  status: Status;
}

/**
 * Subscribes while the component is there, and renders it again with each event. For every event there is
 * `onevent`; its functions may change with each rendering, other options when the address or a topic does.
 */
export function useSubscription<T = string>(
  url: string,
  topics: Matcher | Matcher[],
  options: SubscribeOptions<T> = {},
): Subscribed<T> {
  const [event, setEvent] = useState<HubEvent<T>>();
  const [status, setStatus] = useState<Status>("connecting");
  const newest = useRef(options);
  useEffect(() => {
    newest.current = options;
  });
  const key = JSON.stringify(topics);
  useEffect(() => {
    const subscription = subscribe<T>(url, JSON.parse(key) as Matcher[], {
      ...newest.current,
      onevent(arrived) {
        setEvent(arrived);
        newest.current.onevent?.(arrived);
      },
      onstatus(now, transport) {
        setStatus(now);
        newest.current.onstatus?.(now, transport);
      },
      ongap: (gap) => newest.current.ongap?.(gap),
      onerror: (error) => newest.current.onerror?.(error),
    });
    return () => subscription.close();
  }, [url, key]);
  return { event, status };
}
