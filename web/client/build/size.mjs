// Holds the bundles to their sizes.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const KIB = 1024;
const LIMITS = { "index.js": 6 * KIB, "client.js": 6 * KIB, "event-source.js": 3 * KIB };

for (const [name, limit] of Object.entries(LIMITS)) {
  const code = readFileSync(new URL(`../dist/${name}`, import.meta.url));
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`${name}: ${code.length} bytes, ${size} gzipped, of ${limit}`);
  if (size > limit) {
    process.exitCode = 1;
  }
}
