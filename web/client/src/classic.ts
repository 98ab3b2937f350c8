// The classic script: the whole client in the global `headwater`.

import { HeadwaterEventSource, subscribe } from "./index.js";

(self as { headwater?: unknown }).headwater = { HeadwaterEventSource, subscribe };
