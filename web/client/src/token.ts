// Where tokens come from: a function of the page's, which may take its time, and may fail.

import type { ConnectionOptions } from "./contract.js";

/** Asks for a token; gives it, or says that there is none. */
export function askForToken(
  getToken: NonNullable<ConnectionOptions["getToken"]>,
  give: (token: string) => void,
  no: () => void,
): void {
  try {
    const given = getToken();
    if (typeof given === "string") {
      give(given);
    } else {
      given.then(give, no);
    }
  } catch {
    no();
  }
}
