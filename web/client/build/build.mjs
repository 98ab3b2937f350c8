// Builds dist/, and the scripts that the hub serves into crates/server/assets. With --check it builds no assets
// but compares.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { bundles } from "./bundle.mjs";

const here = new URL("..", import.meta.url);
const dist = new URL("dist/", here);
const assets = new URL("../../crates/server/assets/", here);
/** What the hub serves: the classic scripts, and the same as modules. */
const SERVED = ["client.js", "client.legacy.js", "client.mjs", "client.element.mjs"];

const { version } = JSON.parse(readFileSync(new URL("package.json", here), "utf8"));
const files = await bundles(version);
const modules = {
  "client.mjs": files["index.js"],
  "client.element.mjs": files["element.js"].replace('"./index.js"', '"./client.mjs"'),
};
const served = { ...files, ...modules };
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
for (const [name, code] of Object.entries(files)) {
  writeFileSync(new URL(name, dist), code);
}
const tsc = new URL("node_modules/typescript/bin/tsc", here).pathname;
execFileSync(process.execPath, [tsc, "--project", "tsconfig.json"], { cwd: here, stdio: "inherit" });

for (const name of SERVED) {
  const place = new URL(name, assets);
  if (!process.argv.includes("--check")) {
    mkdirSync(assets, { recursive: true });
    writeFileSync(place, served[name]);
  } else if (readFileSync(place, "utf8") !== served[name]) {
    console.error(
      `crates/server/assets/${name} is not what its sources make: run \`npm run build\` in web/client`,
    );
    process.exitCode = 1;
  }
}
