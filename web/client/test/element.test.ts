// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import "../src/element.js";
import { startHub, type Hub } from "./hub.js";
import { until } from "./until.js";

let hub: Hub;

beforeEach(() => {
  hub = startHub();
});

afterEach(() => {
  document.body.textContent = "";
  vi.unstubAllGlobals();
});

async function place(html: string): Promise<Element> {
  document.body.innerHTML = html;
  await until(() => hub.open() === 1);
  return document.body.firstElementChild!;
}

it("shows the newest event's data as text, whatever it holds", async () => {
  const element = await place(`<event-source topics="a, b">nothing yet</event-source>`);
  expect(hub.asked).toEqual([["a", "b"]]);
  expect(element.textContent).toBe("nothing yet");
  hub.publish("a", "<b>1</b>");
  await until(() => element.textContent === "<b>1</b>");
  hub.publish("b", "2");
  await until(() => element.textContent === "2");
  expect(element.getAttribute("status")).toBe("open");
});

it("appends, shows HTML, or shows nothing, as it is told", async () => {
  const append = await place(`<event-source topics="a" show="append"></event-source>`);
  hub.publish("a", "1");
  hub.publish("a", "<2>");
  await until(() => append.innerHTML === "<div>1</div><div>&lt;2&gt;</div>");
  append.setAttribute("show", "html");
  hub.publish("a", "<i>3</i>");
  await until(() => append.innerHTML === "<i>3</i>");
  append.setAttribute("show", "none");
  const event = new Promise((yes) => append.addEventListener("message", yes));
  hub.publish("a", "4");
  await event;
  expect(append.innerHTML).toBe("<i>3</i>");
});

it("fires every event with its type, and gaps, so that a page can listen above it", async () => {
  const told: unknown[] = [];
  for (const type of ["price", "gap"]) {
    document.body.addEventListener(type, (event) =>
      told.push(event instanceof MessageEvent ? [type, event.data, event.lastEventId] : [type]),
    );
  }
  await place(`<event-source topics="a"></event-source>`);
  hub.publish("a", "7", "price");
  hub.lose();
  await until(() => told.length === 2);
  expect(told).toEqual([["price", "7", "#1"], ["gap"]]);
});

it("subscribes anew when its topics change, and lets go when it is removed", async () => {
  const element = await place(`<event-source topics="a"></event-source>`);
  element.setAttribute("topics", "b");
  await until(() => hub.asked.length === 2 && hub.open() === 1);
  expect(hub.asked[1]).toEqual(["b"]);
  element.remove();
  await until(() => hub.open() === 0);
});
