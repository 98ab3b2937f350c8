// What the four pages have in common: the frame around them, and how they listen.

import { panel } from "./panel.js";
import { language, make, say, speak, word } from "./words.js";
import { client } from "./wire.js";

const PAGES = [
  ["/", "Clock", "时钟"],
  ["/stocks", "Stocks", "股价"],
  ["/match", "Match", "比分"],
  ["/posts", "Posts", "文章"],
  ["/social", "Social", "动态"],
];
/** A page that nobody sees lets go after this time: under HTTP/1.1 a browser has six connections to a host. */
const HIDDEN_MS_MAX = 10_000;

/**
 * Builds the page.
 *
 * @param page `path`; `title` and `lede` as pairs of texts; `content`, elements; `topics`, what it listens to;
 *   `since`, where it begins; `onevent`
 */
export function start(page) {
  const main = make("main", { id: "main" });
  const wire = panel(() => listener.restart());
  const article = make(
    `article.${page.path.slice(1)}`,
    {},
    make("div.intro", {}, word("h1", ...page.title), word("p.lede", ...page.lede), word("a.jump", "To the wire, and the buttons that cut it", "查看线路与按钮", { href: "#wire" })),
    ...page.content,
  );
  main.append(article, wire.element);
  document.body.append(
    word("a.skip", "Skip to the content", "跳到内容", { href: "#main" }),
    header(page.path),
    main,
    footer(page.path),
  );
  const titled = () => (document.title = `${page.title[language() === "zh" ? 1 : 0]} · Headwater`);
  document.addEventListener("language", titled);
  titled();
  const listener = listen(page, wire);
}

/** Listens, from the page's beginning or where it was. */
function listen({ topics, since, onevent }, wire) {
  let subscription;
  let place = "";
  let attempt = 0;
  let timer;

  function rest() {
    attempt++;
    place = subscription?.lastEventId || place;
    subscription?.close();
    subscription = undefined;
  }

  async function restart() {
    rest();
    wire.status("connecting");
    const mine = attempt;
    const loaded = await client(wire.taken()).catch((error) => wire.failed(error));
    if (mine !== attempt || !loaded) {
      return;
    }
    const query = place ? `lastEventId=${encodeURIComponent(place)}` : `since=${since}`;
    const isCurrent = () => mine === attempt;
    const transport = () => subscription?.transport;
    subscription = loaded.subscribe(`/events?${query}`, topics, {
      json: true,
      // All are of this type, so that the browser's own EventSource will do.
      types: ["message"],
      onevent(event) {
        wire.event(event, transport());
        onevent(event);
      },
      ongap: () => wire.gap(),
      onstatus: (status, over) => isCurrent() && wire.status(status, over),
      onerror: (error) => wire.failed(error),
    });
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) {
      timer = setTimeout(() => {
        rest();
        wire.status("resting");
      }, HIDDEN_MS_MAX);
    } else if (!subscription) {
      restart();
    }
  });
  restart();
  return { restart };
}

function header(path) {
  const nav = make("nav", {});
  say(nav, "The pages of the demo", "演示页面", "aria-label");
  for (const [href, en, zh] of PAGES) {
    const link = word("a", en, zh, { href });
    if (href === path) {
      link.setAttribute("aria-current", "page");
    }
    nav.append(link);
  }
  return make(
    "header",
    {},
    make("a.brand", { href: "/" }, "headwater"),
    nav,
    make("div.switches", {}, languageSwitch(), themeSwitch()),
  );
}

function languageSwitch() {
  // Each in the language that it leads to, for those who read no other.
  const button = make("button", { type: "button", id: "language" });
  const name = make("span");
  button.append(name);
  say(name, "中文", "English");
  const marked = () => name.setAttribute("lang", language() === "zh" ? "en" : "zh");
  marked();
  button.addEventListener("click", () => {
    speak(language() === "zh" ? "en" : "zh");
    marked();
  });
  return button;
}

function themeSwitch() {
  const { look } = window;
  const button = word("button", "Dark", "深色", { type: "button", id: "theme" });
  const pressed = () => button.setAttribute("aria-pressed", look.isDark());
  pressed();
  button.addEventListener("click", () => {
    look.paint(look.isDark() ? "light" : "dark");
    pressed();
    document.dispatchEvent(new Event("theme"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    pressed();
    document.dispatchEvent(new Event("theme"));
  });
  return button;
}

function footer(path) {
  const name = path.slice(1);
  const links = [`${name}.js`, "page.js", "panel.js", "wire.js", "words.js", "look.js", "pages.css"].flatMap((file) => [
    make("a", { href: `/source/${file}` }, file),
    " ",
  ]);
  return make(
    "footer",
    {},
    word(
      "p",
      "Everything here is made up. The page needs no building; read how it is done:",
      "这里的一切都是虚构的。页面无需构建，可以直接阅读源码：",
    ),
    make("p.files", {}, ...links),
  );
}
