// Runs that start when the one that defers them has ended; only version 4 has them.
import { NonRetriableError } from "inngest4";
import { createDefer } from "inngest4/experimental";
import { inngest, note, on } from "./sdk.js";

const later = createDefer(inngest as any, { id: "later", retries: 0 }, async ({ event, parents, step }: any) => {
  const [parent] = parents;
  await step.run("tell", () => note(event.data.id, `${event.data.what} of ${parent.fnSlug} ${parent.runId}`));
});

const defers = on({ id: "defers" }, async ({ event, step, defer, runId }) => {
  const { id, fails } = event.data;
  defer("kept", { function: later, data: { id, what: "kept" } });
  const taken = defer("taken back", { function: later, data: { id, what: "taken back" } });
  await step.run("first", () => note(id, "first"));
  await step.sleep("replayed after this", 10);
  taken.abort();
  await step.run("second", () => note(id, "second"));
  defer("last", { function: later, data: { id, what: "last" } });
  if (fails) {
    throw new NonRetriableError("all the same");
  }
  return runId;
});

export const deferring = [later, defers];
