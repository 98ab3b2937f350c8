// A Vue composable.

import { onScopeDispose, ref, shallowRef, toValue, watch, type MaybeRefOrGetter, type Ref } from "vue";
import { subscribe, type HubEvent, type Matcher, type Status, type SubscribeOptions } from "./index.js";

/** What a component sees. */
export interface Subscribed<T> {
  /** The newest event. */
  event: Readonly<Ref<HubEvent<T> | undefined>>;
  status: Readonly<Ref<Status>>;
}

/** Subscribes until the scope is disposed of, anew when the address or a topic changes. */
export function useSubscription<T = string>(
  url: MaybeRefOrGetter<string>,
  topics: MaybeRefOrGetter<Matcher | Matcher[]>,
  options: SubscribeOptions<T> = {},
): Subscribed<T> {
  const event = shallowRef<HubEvent<T>>();
  const status = ref<Status>("connecting");
  let close = (): void => undefined;
  watch(
    () => JSON.stringify([toValue(url), toValue(topics)]),
    (now) => {
      const [address, matchers] = JSON.parse(now) as [string, Matcher | Matcher[]];
      close();
      const subscription = subscribe<T>(address, matchers, {
        ...options,
        onevent(arrived) {
          event.value = arrived;
          options.onevent?.(arrived);
        },
        onstatus(is, transport) {
          status.value = is;
          options.onstatus?.(is, transport);
        },
      });
      close = () => subscription.close();
    },
    { immediate: true },
  );
  onScopeDispose(() => close());
  return { event, status };
}
