// Makes what is published: bundles by esbuild, minified by swc, which makes them a tenth smaller and knows ES5.

import { transform } from "@swc/core";
import { build } from "esbuild";

const MINIFY = {
  compress: {
    passes: 5,
    inline: 0,
    pure_getters: true,
    unsafe_arrows: true,
    unsafe_methods: true,
    keep_fargs: false,
  },
  mangle: true,
};
/** What is a little smaller where all ways to connect are in it. */
const WHOLE = { ...MINIFY, compress: { ...MINIFY.compress, ecma: 2020, reduce_funcs: false } };
/** Names that only our own modules know, and that nothing of a page has: they are made shorter. */
const OURS =
  /^(after|failed|hoards|isInside|listen|lost|memory|move|native|originOf|pause|refused|retryMs|text|tooLong|want|wires)$/;
/** Modules of ours that a bundle leaves to its neighbour. */
const NEIGHBOURS = ["./index.js", "react", "vue"];

/** Every file, by name. */
export async function bundles(version) {
  const banner = `/*! Headwater ${version}, MIT OR Apache-2.0 */\n`;
  const files = {
    "index.js": await esm("index", true),
    "event-source.js": await esm("event-source", false),
    "element.js": await esm("element", true, NEIGHBOURS),
    "react.js": await esm("react", true, NEIGHBOURS),
    "vue.js": await esm("vue", true, NEIGHBOURS),
    "client.js": await classic("classic", "es2022"),
    "client.legacy.js": await classic("legacy", "es5"),
  };
  return Object.fromEntries(Object.entries(files).map(([name, code]) => [name, banner + code]));
}

async function bundled(entry, format, isWhole, external = []) {
  const built = await build({
    entryPoints: [new URL(`../src/${entry}.ts`, import.meta.url).pathname],
    bundle: true,
    write: false,
    format,
    target: "es2022",
    legalComments: "none",
    ignoreAnnotations: true,
    define: { WHOLE: String(isWhole) },
    mangleProps: OURS,
    external,
  });
  return built.outputFiles[0].text;
}

async function esm(entry, isWhole, external = []) {
  const code = await bundled(entry, "esm", isWhole, external);
  const minify = isWhole ? WHOLE : MINIFY;
  const options = { minify: true, isModule: true, jsc: { target: "es2022", minify } };
  return (await transform(code, options)).code;
}

async function classic(entry, target) {
  const code = await bundled(entry, "iife", true);
  const minify = target === "es5" ? { ...MINIFY, ecma: 5, compress: { ...MINIFY.compress, ecma: 5 } } : WHOLE;
  const options = { minify: true, isModule: false, jsc: { target, loose: true, minify } };
  return (await transform(code, options)).code;
}
