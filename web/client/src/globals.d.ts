/** Whether this is built with every way to connect, or with `fetch` alone. Each build says it. */
declare const WHOLE: boolean;
