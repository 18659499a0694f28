// Steps that do something, and what becomes of errors.
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { NonRetriableError, RetryAfterError } from "#inngest";
import { app, inngest, note, on } from "./sdk.js";

const numbers = on({ id: "steps" }, async ({ event, step, attempt, runId }) => {
  const { id } = event.data;
  const one = await step.run("one", async () => (note(id, "one"), 1));
  const two = await step.run("two", () => one + 1);
  const same: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    same.push(await step.run("same", () => turn));
  }
  const nested = await step.run("nested", () => ({ data: { error: { list: [1, [2, { three: 3 }]] } }, text: "ä \u2603 €" }));
  const nothing = await step.run("nothing", () => {});
  return { two, same, nested, nothing, attempt, run: runId, event: event.name, given: event.data };
});

const parallel = on({ id: "parallel" }, async ({ event, step }) => {
  const { id } = event.data;
  const chain = async () => {
    const first = await step.run("first", () => note(id, "first"));
    return step.run("second", () => note(id, `after ${first}`));
  };
  const all = await Promise.all([
    step.run("a", () => note(id, "a")),
    step.run("b", () => note(id, "b")),
    chain(),
    step.sleep("pause", 1000),
  ]);
  const after = await step.run("after", () => note(id, "joined"));
  return { all: all.slice(0, 3), after };
});

const race = on({ id: "race" }, async ({ event, step, group }) => {
  const { id } = event.data;
  const slow = async () => {
    await step.sleep("pause", 1000);
    return step.run("slow", () => note(id, "slow"));
  };
  const either = () => Promise.race([step.run("quick", () => note(id, "quick")), slow()]);
  // Version 4 joins what is side by side unless it is told that it races.
  const won = await (group ? group.parallel(either) : either());
  return { won, after: await step.run("after", () => note(id, "after")) };
});

const fails = on(
  {
    id: "fails",
    onFailure: async ({ event, error, step }: any) => {
      const { id } = event.data.event.data;
      await step.run("tell", () => note(id, `${error.message} of ${event.data.function_id} by ${event.data.event.name}`));
    },
  },
  async () => {
    throw new TypeError("nothing to be done");
  },
);

const retries = on({ id: "retries", retries: 2 }, async ({ event, step, attempt }) => {
  const { id } = event.data;
  const step1 = await step.run("step", () => {
    if (note(id, "step") && tries(id) === 1) {
      throw new RetryAfterError("not yet", 1000);
    }
    return "done";
  });
  note(id, `attempt ${attempt}`);
  if (attempt === 0) {
    throw new RetryAfterError("nor yet", 1000);
  }
  return { step: step1, attempt };
});

const tried = new Map<string, number>();

function tries(id: string): number {
  tried.set(id, (tried.get(id) ?? 0) + 1);
  return tried.get(id)!;
}

const refuses = on({ id: "refuses", retries: 4 }, async ({ event, step }) => {
  await step.run("never", () => {
    note(event.data.id, "tried");
    throw new NonRetriableError("not ever");
  });
});

const catches = on({ id: "catches" }, async ({ event, step }) => {
  let caught = "nothing";
  try {
    await step.run("fails", () => {
      note(event.data.id, "tried");
      throw new RangeError("out of it");
    });
  } catch (error) {
    caught = (error as Error).message;
  }
  return { caught, after: await step.run("after", () => "goes on") };
});

const large = on({ id: "large" }, async ({ event, step }) => {
  let length = 0;
  for (let turn = 0; turn < event.data.steps; turn++) {
    length += (await step.run(`page ${turn}`, () => "x".repeat(1_000_000))).length;
  }
  await step.sleep("replayed from here", 1000);
  return { length };
});

const sends = on({ id: "sends" }, async ({ event, step }) => {
  const sent = await step.sendEvent("send", [
    { name: `${app}/receives`, data: { id: event.data.id, number: 1 } },
    { name: `${app}/receives`, data: { id: event.data.id, number: 2 } },
  ]);
  await inngest.send({ name: `${app}/receives`, data: { id: event.data.id, number: 3 } });
  return { sent: sent.ids.length };
});

const receives = on({ id: "receives" }, async ({ event }) => note(event.data.id, `received ${event.data.number}`));

// Stays in its second step until there is the file that GATE names.
const patient = on({ id: "patient", retries: 4 }, async ({ event, step }) => {
  const { id } = event.data;
  await step.run("first", () => note(id, "first"));
  await step.run("gate", async () => {
    note(id, "gate");
    while (!existsSync(process.env.GATE ?? "/")) {
      await pause(20);
    }
  });
  return step.run("second", () => note(id, "second"));
});

export const steps = [patient, numbers, parallel, race, fails, retries, refuses, catches, large, sends, receives];
