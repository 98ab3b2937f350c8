// Scores: every event tells the whole state of its match, so that whoever comes late needs only the newest.

import { start } from "./page.js";
import { language, make, number, say, t, word } from "./words.js";

const PHASES = {
  first: ["First half", "上半场"],
  break: ["Half time", "中场休息"],
  second: ["Second half", "下半场"],
  over: ["Full time", "全场结束"],
};
const KINDS = {
  goal: ["Goal", "进球"],
  yellow: ["Yellow card", "黄牌"],
  change: ["Substitution", "换人"],
};

const states = new Map();
const cards = new Map();
let chosen = 1;

const teams = [make("p.team"), make("p.team")];
const goals = [make("span"), make("span")];
const phase = make("p.phase");
const minute = make("p.minute");
const shares = [bar(), bar()];
const incidents = make("ol.incidents");
const none = word("p.none", "Nothing has happened yet.", "比赛暂无事件。");
/** Goals only: a minute a second would leave a screen reader no time for anything else. */
const live = make("p.unseen", { role: "status" });
const score = make("p.score", {}, goals[0], make("i", { "aria-hidden": "true" }, "–"), goals[1]);
const others = make("div.others");

start({
  path: "/match",
  title: ["Scores as they fall", "实时比分"],
  lede: [
    "Each match is a topic whose newest event tells all of it: whoever comes late is up to date at once.",
    "每场比赛是一个主题，最新事件包含全部状态：后来者立刻同步。",
  ],
  content: [
    make(
      "section.card.field",
      {},
      make("div.clock", {}, phase, minute),
      make("div.line", {}, teams[0], score, teams[1]),
      make("dl.shares", {}, stat("Possession", "控球率", shares[0]), stat("Shots", "射门", shares[1])),
      live,
    ),
    others,
    make("section.card", {}, word("h2", "What happened", "比赛事件"), none, incidents),
  ],
  topics: { pattern: "/match/:number" },
  since: "latest",
  onevent: ({ data }) => take(data),
});
document.addEventListener("language", () => {
  for (const state of states.values()) {
    show(state);
  }
});

function take(state) {
  states.set(state.match, state);
  show(state);
  if (state.news === "goal") {
    const goal = state.incidents.findLast(({ kind }) => kind === "goal");
    celebrate(state, goal.side);
  }
}

function show(state) {
  showCard(state);
  if (state.match === chosen) {
    showField(state);
  }
}

function showField({ teams: names, score: scored, minute: at, phase: now, possession, shots, incidents: list }) {
  names.forEach((name, side) => {
    teams[side].textContent = name[language()];
    goals[side].textContent = scored[side];
  });
  say(phase, ...PHASES[now]);
  minute.textContent = `${at}′`;
  set(shares[0], possession, 100 - possession, " %");
  set(shares[1], ...shots, "");
  none.hidden = list.length > 0;
  const lines = list.toReversed().map((incident) => line(incident, names));
  incidents.replaceChildren(...lines);
}

function line({ minute: at, side, kind, player }, names) {
  return make(
    "li",
    {},
    make("b", {}, `${at}′`),
    make(`span.mark.${kind}`, { "aria-hidden": "true" }),
    make("span", {}, `${player[language()]} `, make("span.kind", {}, `${t(...KINDS[kind])}, ${names[side][language()]}`)),
  );
}

function showCard(state) {
  const card = cards.get(state.match) ?? addCard(state.match);
  const [home, away] = state.teams.map((name) => name[language()]);
  card.querySelector(".names").textContent = `${home} – ${away}`;
  card.querySelector(".result").textContent = state.score.join(" : ");
  card.querySelector(".when").textContent =
    state.phase === "first" || state.phase === "second" ? `${state.minute}′` : t(...PHASES[state.phase]);
}

function addCard(match) {
  const card = make(
    "button",
    { type: "button", "aria-pressed": match === chosen },
    make("span.names"),
    make("span.result"),
    make("span.when"),
  );
  card.addEventListener("click", () => {
    chosen = match;
    for (const [other, element] of cards) {
      element.setAttribute("aria-pressed", other === match);
    }
    showField(states.get(match));
  });
  cards.set(match, card);
  others.append(...[...cards].sort(([one], [other]) => one - other).map(([, element]) => element));
  return card;
}

function celebrate({ match, teams: names, score: scored }, side) {
  const card = cards.get(match);
  const lit = match === chosen ? [card, goals[side]] : [card];
  for (const element of lit) {
    element.classList.remove("scored");
    void element.offsetWidth;
    element.classList.add("scored");
  }
  const [home, away] = names.map((name) => name[language()]);
  const line = `${home} ${scored[0]} : ${scored[1]} ${away}`;
  live.textContent = t(`Goal! ${line}`, `进球！${line}`);
}

function stat(en, zh, { element }) {
  return make("div", {}, word("dt", en, zh), make("dd", {}, element));
}

/** Two figures, and their shares of one bar. */
function bar() {
  const [left, right, part] = [make("span"), make("span"), make("i")];
  const element = make("div.bar", {}, left, make("div.whole", { "aria-hidden": "true" }, part), right);
  return { element, left, right, part };
}

function set({ left, right, part }, one, other, unit) {
  left.textContent = number(one) + unit;
  right.textContent = number(other) + unit;
  part.style.width = `${one + other ? (one * 100) / (one + other) : 50}%`;
}
