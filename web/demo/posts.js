// Posts out of a file: each entry of it is a topic, and the newest event of a topic is what the entry says now.

import { start } from "./page.js";
import { language, make, say, t, word } from "./words.js";

const COPIED_MS = 1500;

const posts = new Map();
const list = make("div.list");
const path = make("code", { id: "path" }, "…");
const command = make("code", {}, "…");
const trouble = make("p.trouble", { role: "status" });
const live = make("p.unseen", { role: "status" });
const empty = word("p.none", "The file has no entries.", "文件中没有条目。");
/** What is there when the page opens is no news. */
let isSettled = false;

start({
  path: "/posts",
  title: ["Posts as they are published", "发布即达的文章"],
  lede: [
    "They come out of an Atom file on this machine. Save a change in it, and every open page has it.",
    "文章来自本机的一个 Atom 文件。保存修改，所有打开的页面立即更新。",
  ],
  content: [
    make(
      "section.card.file",
      {},
      word("h2", "The file", "文件"),
      word("p.hint", "Open it in an editor: change a title, add an entry, or take one out.", "用编辑器打开：改标题、加条目或删条目。"),
      copyable(path, "Copy the path", "复制路径"),
      word("p.hint", "Or from a terminal:", "或在终端中："),
      copyable(command, "Copy the command", "复制命令"),
      trouble,
    ),
    live,
    empty,
    list,
  ],
  topics: { pattern: "/posts/:entry" },
  since: "latest",
  onevent: ({ data }) => take(data),
});
document.addEventListener("language", show);
setTimeout(() => (isSettled = true), 1500);

fetch("/posts/file")
  .then((answer) => answer.json())
  .then((file) => {
    path.textContent = file.path;
    command.textContent = `sed -i 's/weir/bridge/g' '${file.path}'`;
  });

function take(data) {
  if ("trouble" in data) {
    if (data.trouble) {
      say(trouble, `Not read as it is now: ${data.trouble}`, `目前无法读取：${data.trouble}`);
    } else {
      say(trouble, "", "");
    }
    return;
  }
  const before = posts.get(data.entry);
  before?.element.remove();
  posts.delete(data.entry);
  if (data.removed) {
    announce(t(`Gone: ${before?.data.title}`, `已删除：${before?.data.title}`));
  } else {
    const element = make("section.card.post");
    posts.set(data.entry, { data, element });
    if (isSettled) {
      element.classList.add("fresh");
      element.dataset.change = before ? "changed" : "new";
      announce(t(`${before ? "Changed" : "New"}: ${data.title}`, `${before ? "已更新" : "新文章"}：${data.title}`));
    }
  }
  show();
}

function announce(text) {
  if (isSettled) {
    live.textContent = text;
  }
}

function show() {
  const sorted = [...posts.values()].sort((one, other) => (one.data.updated < other.data.updated ? 1 : -1));
  sorted.forEach(({ data, element }, index) => {
    fill(element, data);
    // What stays where it is is not touched, so that nothing lights up again.
    if (list.children[index] !== element) {
      list.insertBefore(element, list.children[index] ?? null);
    }
  });
  empty.hidden = posts.size > 0;
}

function fill(element, { title, author, updated, text, html }) {
  const date = new Date(updated);
  const isDate = !Number.isNaN(date.getTime());
  const format = { dateStyle: "long", timeStyle: "short" };
  const shown = isDate ? date.toLocaleString(language() === "zh" ? "zh-CN" : "en-GB", format) : updated;
  const { change } = element.dataset;
  const badge = change ? [make("span.badge", {}, change === "new" ? t("New", "新") : t("Changed", "已更新"))] : [];
  element.replaceChildren(
    make("p.by", {}, make("span", {}, author), make("time", isDate ? { datetime: updated } : {}, shown), ...badge),
    make("h2", {}, title),
    make("p", {}, html ? plain(text) : text),
  );
}

/** The words of a piece of HTML: what a file says is not let into the page. */
function plain(html) {
  return new DOMParser().parseFromString(html, "text/html").body.textContent;
}

function copyable(code, en, zh) {
  const button = word("button", "Copy", "复制", { type: "button" });
  say(button, en, zh, "aria-label");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    say(button, "Copied", "已复制");
    setTimeout(() => say(button, "Copy", "复制"), COPIED_MS);
  });
  return make("div.command", {}, code, button);
}
