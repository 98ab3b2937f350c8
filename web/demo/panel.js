// The panel beside every page: what arrives, over what, and buttons that do harm.

import { make, number, say, time, word } from "./words.js";
import { cut, hold, sleep } from "./wire.js";

const LINES_MAX = 30;
const TRANSPORTS = {
  eventsource: ["EventSource", "EventSource"],
  fetch: ["fetch, streaming", "fetch（流式）"],
  xhr: ["XMLHttpRequest, streaming", "XMLHttpRequest（流式）"],
  poll: ["long polls", "长轮询"],
};
const STATUS = {
  connecting: ["Connecting", "正在连接"],
  open: ["Open", "已连接"],
  polling: ["Open, by asking", "已连接（轮询）"],
  closed: ["Closed", "已关闭"],
  resting: ["Resting while the page is hidden", "页面隐藏，暂停中"],
};

/**
 * Builds the panel.
 *
 * @param changed what to call when the browser has other APIs than before
 */
export function panel(changed) {
  const lamp = make("p.status", { role: "status", "data-status": "connecting" });
  const over = make("dd", { "data-transport": "" }, "…");
  const counts = { received: 0, missing: 0, twice: 0 };
  const figures = Object.fromEntries(Object.keys(counts).map((name) => [name, make("dd", { id: name }, "0")]));
  const lines = make("ol.lines", { tabindex: "0" });
  const note = make("p.note", { role: "status" });
  const taken = new Set();
  /** The number of the newest event of each topic. */
  const last = new Map();
  let brokenAt = 0;

  say(lines, "Raw events, newest first", "原始事件，最新在前", "aria-label");
  say(lamp, ...STATUS.connecting);
  say(note, "Press a button, and watch it recover.", "按下按钮，看它如何恢复。");

  const asleep = toggle("sleep", ["Put the tab to sleep", "让页面休眠"], (isOn) => {
    sleep(isOn);
    lamp.dataset.asleep = isOn;
    if (isOn) {
      say(note, "Asleep: nothing is read. Wake it, and what it missed comes at once.",
        "休眠中：不读取任何内容。唤醒后，错过的会立即补上。");
    } else {
      say(note, "Awake, and reading on where it was.", "已唤醒，从原处继续。");
    }
  });
  const breaker = word("button", "Break the connection", "切断连接", { type: "button", id: "break" });
  breaker.addEventListener("click", () => {
    brokenAt = performance.now();
    say(note, "Cut, and for two seconds there is no network.", "已切断，网络中断两秒。");
    cut();
  });
  const withoutSource = toggle("without-eventsource", ["Take away EventSource", "拿走 EventSource"], (isOn) => take("EventSource", isOn));
  const withoutFetch = toggle("without-fetch", ["Take away fetch", "拿走 fetch"], (isOn) => take("fetch", isOn));
  const held = toggle("held", ["Hold streams back, as some proxies do", "像某些代理那样扣住流"], (isOn) => {
    hold(isOn);
    say(note, "Nothing holds streams back any more.", "流不再被扣住。");
    if (isOn) {
      say(note, "Nothing comes through. After three seconds it will ask instead.", "流被扣住；三秒后改用长轮询。");
    }
    changed();
  });

  function take(name, isOn) {
    taken[isOn ? "add" : "delete"](name);
    if (isOn) {
      say(note, `A browser without ${name}: the client takes the next best.`, `没有 ${name} 的浏览器：客户端改用次优方式。`);
    } else {
      say(note, `${name} is back.`, `${name} 已恢复。`);
    }
    changed();
  }

  function runsOver(transport) {
    if (transport && over.dataset.transport !== transport) {
      over.dataset.transport = transport;
      say(over, ...TRANSPORTS[transport]);
    }
  }

  function count(name, more) {
    counts[name] += more;
    figures[name].textContent = number(counts[name]);
  }

  function add(line) {
    lines.prepend(line);
    while (lines.childElementCount > LINES_MAX) {
      lines.lastElementChild.remove();
    }
  }

  const row = (en, zh, value) => make("div", {}, word("dt", en, zh), value);
  const element = make(
    "aside.wire",
    { id: "wire" },
    make("div.head", {}, word("h2", "On the wire", "线路"), lamp),
    make(
      "dl",
      {},
      row("Runs over", "传输方式", over),
      row("Received", "已收到", figures.received),
      row("Missing", "缺失", figures.missing),
      row("Twice", "重复", figures.twice),
    ),
    make("div.buttons", {}, breaker, asleep, withoutSource, withoutFetch, held),
    note,
    word("h3", "Raw events", "原始事件"),
    lines,
  );
  say(element, "On the wire", "线路", "aria-label");

  return {
    element,
    taken: () => [...taken].sort(),
    /** The events of each topic are numbered without a hole. */
    event(event, transport) {
      const { n } = event.data;
      const before = last.get(event.topics[0]) ?? n - 1;
      runsOver(transport);
      count("received", 1);
      count("missing", Math.max(0, n - before - 1));
      count("twice", n <= before ? 1 : 0);
      last.set(event.topics[0], Math.max(n, before));
      add(
        make(
          "li",
          {},
          make("span.meta", {}, make("time", { datetime: event.time }, time(event.time)), " ", make("b", {}, event.topics[0])),
          make("code.id", {}, `id: ${event.id}`),
          make("code", {}, `data: ${JSON.stringify(event.data)}`),
        ),
      );
    },
    gap() {
      last.clear();
      add(word("li.gap", "Some events are gone.", "有些事件已不可得。"));
    },
    status(status, transport) {
      lamp.dataset.status = status;
      say(lamp, ...STATUS[status]);
      runsOver(transport);
      if (brokenAt && (status === "open" || status === "polling")) {
        const seconds = number((performance.now() - brokenAt) / 1000, 1);
        brokenAt = 0;
        say(note, `Back after ${seconds} s, at the same place.`, `${seconds} 秒后恢复，从原处继续。`);
      }
    },
    failed(error) {
      say(note, `It stopped: ${error.message}`, `已停止：${error.message}`);
      lamp.dataset.status = "closed";
      say(lamp, ...STATUS.closed);
    },
  };
}

function toggle(id, [en, zh], pressed) {
  const button = word("button", en, zh, { type: "button", id, "aria-pressed": "false" });
  button.addEventListener("click", () => {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", isOn);
    pressed(isOn);
  });
  return button;
}
