// A social stream: posts on one topic, their counters on another, and both in the order in which they happened.

import { start } from "./page.js";
import { language, make, number, time, word } from "./words.js";

const POSTS_MAX = 12;
const SVG = "http://www.w3.org/2000/svg";
const COUNTERS = {
  replies: ["replies", "回复", "M3 4h14v9H9l-4 3v-3H3z"],
  reposts: ["reposts", "转发", "M5 7h9l-2.5-2.5M15 13H6l2.5 2.5M5 7v3M15 13v-3"],
  likes: ["likes", "赞", "M10 16.5C3 11.5 2.5 8 4 6s4.5-1.5 6 1c1.5-2.5 4.5-3 6-1s1 5.5-6 10.5z"],
};

const posts = new Map();
const totals = { posts: figure("Posts", "帖子"), likes: figure("Likes", "赞"), reposts: figure("Reposts", "转发") };
const list = make("div.list");

start({
  path: "/social",
  title: ["A stream with counters", "带计数的动态"],
  lede: [
    "Posts come on one topic and what people think of them on another: small events, many of them, and all in order.",
    "帖子走一个主题，点赞转发走另一个：事件小而多，顺序始终一致。",
  ],
  content: [make("dl.card.totals", {}, ...Object.values(totals).map(({ element }) => element)), list],
  topics: ["social/posts", "social/counts"],
  since: "-400",
  onevent: (event) => (event.topics[0] === "social/posts" ? write(event) : count(event.data)),
});
document.addEventListener("language", () => posts.forEach(translate));

function write({ data, time: at }) {
  const counters = Object.fromEntries(Object.entries(COUNTERS).map(([name, of]) => [name, counter(name, ...of)]));
  const post = {
    data,
    at,
    counters,
    name: make("b"),
    when: make("time", { datetime: at }),
    text: make("p"),
  };
  post.element = make(
    "article.card.post",
    {},
    make(`span.face.face${data.handle.charCodeAt(0) % 6}`, { "aria-hidden": "true" }, data.name.en[0]),
    make(
      "div",
      {},
      make("p.by", {}, post.name, make("span", {}, `@${data.handle}`), post.when),
      post.text,
      make("ul.counters", {}, ...Object.values(counters).map(({ element }) => element)),
    ),
  );
  posts.set(data.post, post);
  translate(post);
  list.prepend(post.element);
  while (list.childElementCount > POSTS_MAX) {
    const [oldest, { element }] = posts.entries().next().value;
    posts.delete(oldest);
    element.remove();
  }
  total();
}

function count(data) {
  // A counter may be of a post from before the page's time.
  const post = posts.get(data.post);
  if (!post) {
    return;
  }
  for (const [name, { value, element }] of Object.entries(post.counters)) {
    const now = number(data[name]);
    if (value.textContent !== now) {
      value.textContent = now;
      element.classList.remove("counted");
      void element.offsetWidth;
      element.classList.add("counted");
    }
  }
  Object.assign(post.data, data);
  total();
}

function translate({ data, at, name, when, text }) {
  name.textContent = data.name[language()];
  text.textContent = data.text[language()];
  when.textContent = time(at);
}

function total() {
  const sum = (name) => [...posts.values()].reduce((total, { data }) => total + (data[name] ?? 0), 0);
  totals.posts.value.textContent = number(posts.size);
  totals.likes.value.textContent = number(sum("likes"));
  totals.reposts.value.textContent = number(sum("reposts"));
}

function figure(en, zh) {
  const value = make("dd", {}, "0");
  return { value, element: make("div", {}, word("dt", en, zh), value) };
}

function counter(name, en, zh, path) {
  const drawing = document.createElementNS(SVG, "path");
  drawing.setAttribute("d", path);
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("viewBox", "0 0 20 20");
  icon.setAttribute("aria-hidden", "true");
  icon.append(drawing);
  const value = make("span", {}, "0");
  const element = make(`li.${name}`, {}, icon, value, " ", word("span.unseen", en, zh));
  return { value, element };
}
