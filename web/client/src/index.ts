// The whole client.

import "./ways.js";

export {
  HeadwaterEventSource,
  type ConnectionErrorEvent,
  type Failure,
  type HeadwaterEventSourceInit,
  type Transport,
} from "./event-source.js";
export {
  subscribe,
  type Gap,
  type HubEvent,
  type Matcher,
  type Status,
  type SubscribeOptions,
  type Subscription,
} from "./subscribe.js";
