// Flow control: what the service is told in the function's options, and does before a function is called.
import { existsSync } from "node:fs";

import { app, define, note, on } from "./sdk.js";

const key = "event.data.id";

const debounced = on({ id: "debounced", debounce: { period: "1s", key } }, async ({ event }) =>
  note(event.data.id, `debounced ${event.data.number}`),
);

const batched = on({ id: "batched", batchEvents: { maxSize: 3, timeout: "30s", key } }, async ({ event, events }) =>
  note(event.data.id, `batch of ${events.map((each: any) => each.data.number).join()}`),
);

const single = on({ id: "single", singleton: { mode: "skip", key } }, async ({ event, step }) => {
  await step.run("single", () => note(event.data.id, "single"));
  await step.waitForEvent("while others come", { event: `${app}/answer`, match: "data.id", timeout: "1h" });
});

const once = on({ id: "once", idempotency: key }, async ({ event }) => note(event.data.id, "once"));

const rated = on({ id: "rated", rateLimit: { limit: 1, period: "1h", key } }, async ({ event }) =>
  note(event.data.id, "rated"),
);

const throttled = on({ id: "throttled", throttle: { limit: 1, period: "1s", key } }, async ({ event }) =>
  note(event.data.id, "throttled"),
);

const limited = on({ id: "limited", concurrency: [{ limit: 1, key }] }, async ({ event, step }) => {
  await step.run("place", async () => {
    note(event.data.id, "in");
    await new Promise((done) => setTimeout(done, 50));
    note(event.data.id, "out");
  });
});

const prioritised = on(
  { id: "prioritised", priority: { run: "event.data.urgent ? 600 : 0" }, concurrency: [{ limit: 1, key }] },
  async ({ event, step }) => {
    const what = await step.run("turn", async () => {
      while (event.data.until && !existsSync(event.data.until)) {
        await new Promise((done) => setTimeout(done, 20));
      }
      return note(event.data.id, event.data.name);
    });
    return what;
  },
);

const filtered = define(
  { id: "filtered", retries: 0 },
  { event: `${app}/filtered`, if: "event.data.number > 1" },
  async ({ event }) => note(event.data.id, `filtered ${event.data.number}`),
);

const yearly = define({ id: "yearly", retries: 0 }, { cron: "TZ=Europe/Berlin 0 3 1 1 *" }, async ({ event }) => {
  note("yearly", event.name);
});

export const flow = [debounced, batched, single, once, rated, throttled, limited, prioritised, filtered, yearly];
