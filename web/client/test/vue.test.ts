// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createApp, defineComponent, h, ref } from "vue";
import { useSubscription } from "../src/vue.js";
import { startHub, type Hub } from "./hub.js";
import { until } from "./until.js";

let hub: Hub;

beforeEach(() => {
  hub = startHub();
});

afterEach(() => vi.unstubAllGlobals());

it("renders the newest event, follows its topic, and lets go", async () => {
  const symbol = ref("AAPL");
  const told: string[] = [];
  const Price = defineComponent(() => {
    const { event, status } = useSubscription<{ price: number }>("/events", () => `stocks/${symbol.value}`, {
      json: true,
      onevent: ({ topics }) => told.push(topics[0]!),
    });
    return () => h("b", { class: status.value }, event.value?.data.price ?? "…");
  });
  const container = document.createElement("div");
  const app = createApp(Price);
  app.mount(container);
  expect(container.innerHTML).toBe('<b class="connecting">…</b>');
  await until(() => container.innerHTML === '<b class="open">…</b>');
  hub.publish("stocks/AAPL", '{"price":12.5}');
  await until(() => container.textContent === "12.5");

  symbol.value = "MSFT";
  await until(() => hub.asked.length === 2 && hub.open() === 1);
  hub.publish("stocks/AAPL", '{"price":1}');
  hub.publish("stocks/MSFT", '{"price":7}');
  await until(() => container.textContent === "7");
  expect([told, hub.asked]).toEqual([
    ["stocks/AAPL", "stocks/MSFT"],
    [["stocks/AAPL"], ["stocks/MSFT"]],
  ]);
  app.unmount();
  await until(() => hub.open() === 0);
});
