// @vitest-environment jsdom
import { createElement, type ReactNode } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useSubscription } from "../src/react.js";
import { startHub, type Hub } from "./hub.js";
import { until } from "./until.js";

let hub: Hub;

beforeEach(() => {
  hub = startHub();
});

afterEach(() => vi.unstubAllGlobals());

function Price({ symbol, onprice }: { symbol: string; onprice: (price: number) => void }): ReactNode {
  const { event, status } = useSubscription<{ price: number }>("/events", `stocks/${symbol}`, {
    json: true,
    onevent: ({ data }) => onprice(data.price),
  });
  return createElement("b", { className: status }, event?.data.price ?? "…");
}

it("renders the newest event, follows its topic, and lets go", async () => {
  const container = document.createElement("div");
  const root = createRoot(container);
  const prices: number[] = [];
  const older = vi.fn();
  const render = (symbol: string, onprice: (price: number) => void): void =>
    flushSync(() => root.render(createElement(Price, { symbol, onprice })));

  render("AAPL", older);
  await until(() => container.innerHTML === '<b class="open">…</b>');
  // The newest rendering's function is called, without another subscription.
  render("AAPL", (price) => prices.push(price));
  hub.publish("stocks/AAPL", '{"price":12.5}');
  await until(() => container.textContent === "12.5");
  hub.publish("stocks/AAPL", '{"price":13}');
  await until(() => container.textContent === "13");
  expect([prices, older.mock.calls, hub.asked]).toEqual([[12.5, 13], [], [["stocks/AAPL"]]]);

  render("MSFT", (price) => prices.push(price));
  await until(() => hub.asked.length === 2 && hub.open() === 1);
  hub.publish("stocks/MSFT", '{"price":7}');
  await until(() => container.textContent === "7");
  root.unmount();
  await until(() => hub.open() === 0);
});
