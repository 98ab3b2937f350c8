// Live prices: one topic for each share, all over one connection, with the log as the chart's past.

import { start } from "./page.js";
import { language, make, number, say, word } from "./words.js";

const COMPANIES = {
  KFSH: ["Kingfisher Optics", "翠鸟光学"],
  MILL: ["Millrace Power", "水车电力"],
  REED: ["Reedbed Foods", "苇荡食品"],
  DELT: ["Delta Shipping", "三角洲航运"],
  SPRG: ["Springhead Water", "源头水务"],
  OTTR: ["Otter Robotics", "水獭机器人"],
};
const TICKS_PER_SECOND = 2;
/** How many ticks the chart shows. */
const TICKS_MAX = 240;
const SPARK_POINTS_MAX = 40;
const DRAW_MS = 40;

const shares = new Map();
let chosen = "KFSH";
let chart;
let isDue = false;
/** The market's newest tick. */
let latest = 0;

const canvas = make("div.canvas", { role: "img" });
const big = { name: make("h2"), symbol: make("p.symbol"), price: make("p.price"), change: make("p.change") };
const body = make("tbody");
const table = make(
  "table",
  {},
  make(
    "thead",
    {},
    make(
      "tr",
      {},
      word("th", "Company", "公司", { scope: "col" }),
      word("th.spark", "Trend", "走势", { scope: "col" }),
      word("th.figure", "Price", "价格", { scope: "col" }),
      word("th.figure", "Today", "今日", { scope: "col" }),
      word("th.figure.volume", "Volume", "成交量", { scope: "col" }),
    ),
  ),
  body,
);

for (const [symbol, name] of Object.entries(COMPANIES)) {
  shares.set(symbol, row(symbol, name));
}

start({
  path: "/stocks",
  title: ["Prices that move by themselves", "自己跳动的股价"],
  lede: [
    "Each share is a topic. The page subscribes to all of them with one pattern, over one connection.",
    "每只股票是一个主题；页面用一个模式、一条连接订阅全部。",
  ],
  content: [
    make(
      "section.card.board",
      {},
      make("div.top", {}, make("div", {}, big.symbol, big.name), make("div.now", {}, big.price, big.change)),
      canvas,
    ),
    make("section.card", {}, table),
  ],
  topics: { pattern: "/stocks/:symbol" },
  since: "-800",
  onevent: ({ data }) => traded(data),
});
// A chart takes its colours and its size from the page, so it has to be there.
choose(chosen);
new ResizeObserver(() => chart.setSize(size())).observe(canvas);
document.addEventListener("theme", build);
document.addEventListener("language", () => {
  for (const share of shares.values()) {
    share.isNew = share.cents.length > 0;
  }
  build();
  draw();
});

function row(symbol, name) {
  const button = make("button", { type: "button", "aria-pressed": "false" }, make("b", {}, symbol), word("span", ...name));
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 28");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  const share = {
    name,
    line,
    button,
    price: make("td.figure.price"),
    change: make("td.figure.change"),
    volume: make("td.figure.volume"),
    ticks: [],
    cents: [],
    open: 0,
  };
  button.addEventListener("click", () => choose(symbol));
  share.element = make(
    "tr",
    {},
    make("th", { scope: "row" }, button),
    make("td.spark", {}, svg),
    share.price,
    share.change,
    share.volume,
  );
  body.append(share.element);
  return share;
}

function traded({ symbol, cents, open, volume, tick }) {
  const share = shares.get(symbol);
  if (!share) {
    return;
  }
  const before = share.cents.at(-1) ?? cents;
  latest = tick;
  share.ticks.push(tick);
  share.cents.push(cents);
  share.open = open;
  share.volumeToday = volume;
  while (share.ticks[1] < tick - TICKS_MAX) {
    share.ticks.shift();
    share.cents.shift();
  }
  share.moved = Math.sign(cents - before) || share.moved;
  share.isNew = true;
  // A replay brings hundreds at once. A timer, because a tab without a picture has no animation frames.
  if (!isDue) {
    isDue = true;
    setTimeout(draw, DRAW_MS);
  }
}

function draw() {
  isDue = false;
  for (const share of shares.values()) {
    if (share.isNew) {
      share.isNew = false;
      show(share);
    }
  }
  showChosen();
}

function show(share) {
  const cents = share.cents.at(-1);
  share.price.textContent = number(cents / 100, 2);
  flash(share.price, share.moved);
  change(share.change, cents, share.open);
  share.volume.textContent = number(share.volumeToday);
  const points = share.cents.slice(-SPARK_POINTS_MAX);
  const [low, high] = [Math.min(...points), Math.max(...points)];
  const x = (index) => (index * 100) / Math.max(1, points.length - 1);
  const y = (value) => 26 - ((value - low) * 24) / (high - low || 1);
  share.line.setAttribute("points", points.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" "));
  share.line.setAttribute("class", cents < share.open ? "down" : "up");
}

function showChosen() {
  const share = shares.get(chosen);
  const cents = share.cents.at(-1);
  if (cents !== undefined) {
    big.price.textContent = number(cents / 100, 2);
    change(big.change, cents, share.open);
    // A price holds until the next.
    const seconds = share.ticks.map((tick) => (tick - latest) / TICKS_PER_SECOND).concat(0);
    chart?.setData([seconds, share.cents.concat(cents).map((value) => value / 100)]);
  }
}

function change(element, cents, open) {
  const percent = ((cents - open) / open) * 100;
  const isDown = percent < 0;
  element.textContent = `${isDown ? "▼ −" : "▲ +"}${number(Math.abs(percent), 2)} %`;
  element.classList.toggle("down", isDown);
  element.classList.toggle("up", !isDown);
}

/** Lets an element light up, again if it is lit. */
function flash(element, direction) {
  element.classList.remove("rose", "fell");
  void element.offsetWidth;
  element.classList.add(direction < 0 ? "fell" : "rose");
}

function choose(symbol) {
  chosen = symbol;
  for (const [other, share] of shares) {
    share.button.setAttribute("aria-pressed", other === symbol);
    share.element.classList.toggle("chosen", other === symbol);
  }
  const { name } = shares.get(symbol);
  say(big.name, ...name);
  big.symbol.textContent = symbol;
  say(canvas, `Price of ${name[0]} over the last two minutes`, `${name[1]}最近两分钟的价格`, "aria-label");
  build();
}

function build() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: resolved("--soft"),
    grid: { stroke: resolved("--line"), width: 1 },
    ticks: { show: false },
    font: `12px ${color("--sans")}`,
  };
  chart?.destroy();
  const now = language() === "zh" ? "现在" : "now";
  const when = (_, splits) => splits.map((seconds) => (seconds ? `−${-seconds} s` : now));
  chart = new window.uPlot(
    {
      ...size(),
      cursor: { y: false, points: { size: 8 } },
      legend: { show: false },
      padding: [8, 12, 0, 12],
      scales: { x: { time: false, range: [-TICKS_MAX / TICKS_PER_SECOND, 0] } },
      axes: [
        { ...axis, values: when, grid: { show: false }, space: 80, size: 28 },
        { ...axis, side: 1, size: 62, values: (_, splits) => splits.map((value) => number(value, 2)) },
      ],
      series: [
        {},
        { stroke: resolved("--stream"), fill: resolved("--wash"), width: 2, points: { show: false } },
      ],
    },
    [[], []],
    canvas,
  );
  showChosen();
}

/** A colour that a canvas can use, whatever the style sheet makes it of. */
function resolved(name) {
  canvas.style.color = `var(${name})`;
  const { color } = getComputedStyle(canvas);
  canvas.style.color = "";
  return color;
}

function size() {
  return { width: Math.max(200, canvas.clientWidth), height: window.innerWidth < 640 ? 220 : 320 };
}
