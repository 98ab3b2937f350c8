import { parse } from "acorn";
import { expect, it } from "vitest";
// @ts-expect-error: a script without types
import { bundles } from "../build/bundle.mjs";

const files = (await (bundles as (version: string) => Promise<unknown>)("1.2.3")) as Record<string, string>;

it("the legacy script is ES5, and names nothing that came later", () => {
  const legacy = files["client.legacy.js"]!;
  expect(() => parse(legacy, { ecmaVersion: 5 })).not.toThrow();
  for (const name of [
    "Promise",
    "Symbol",
    "fetch(",
    "ReadableStream",
    "Map(",
    "Set(",
    "Object.assign",
    "URL(",
  ]) {
    expect(legacy).not.toContain(name);
  }
});

it("what the scripts are made of is what they are for", () => {
  expect(() => parse(files["client.js"]!, { ecmaVersion: 2022, sourceType: "script" })).not.toThrow();
  for (const name of ["index.js", "event-source.js", "element.js", "react.js", "vue.js"]) {
    expect(() => parse(files[name]!, { ecmaVersion: 2022, sourceType: "module" })).not.toThrow();
    expect(files[name]).toContain("1.2.3");
  }
  expect(files["event-source.js"]).not.toContain("XMLHttpRequest");
  expect(files["react.js"]).toContain('from"./index.js"');
});
