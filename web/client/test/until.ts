// Waiting for what a page comes to, on machines that do other work at the same time.

import { vi } from "vitest";

export function until(is: () => unknown): Promise<unknown> {
  return vi.waitUntil(is, { timeout: 30_000, interval: 5 });
}
