// Holds what would be published to what is meant to be: the built files, and nothing that they are made of.

import { execFileSync } from "node:child_process";

const EXPECTED = [
  /^package\.json$/,
  /^README\.md$/,
  /^LICENSE-(APACHE|MIT)$/,
  /^dist\/(index|event-source|element|react|vue|client|client\.legacy)\.js$/,
  /^dist\/types\/[a-z-]+\.d\.ts$/,
];
/** What has to be among them. */
const NEEDED = ["README.md", "LICENSE-MIT", "dist/index.js", "dist/client.legacy.js", "dist/types/index.d.ts"];

const here = new URL("..", import.meta.url).pathname;
const [packed] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: here }));
const files = packed.files.map((file) => file.path);
const wrong = [
  ...files.filter((file) => !EXPECTED.some((name) => name.test(file))).map((file) => `unwanted: ${file}`),
  ...NEEDED.filter((file) => !files.includes(file)).map((file) => `missing: ${file}`),
];
console.log(`${files.length} files, ${packed.size} bytes packed`);
if (wrong.length) {
  console.error(wrong.join("\n"));
  process.exitCode = 1;
}
