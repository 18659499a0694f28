// A worker that connects by itself, to the service that its environment names. Says `up` when it is.
// Node 20 has WebSocket behind --experimental-websocket, and that not in threads: the connection stays in this one.
import { setTimeout } from "node:timers/promises";
import { NonRetriableError } from "#inngest";
import { connect } from "#inngest/connect";
import { inngest, on } from "./sdk.js";

const functions = [
  on({ id: "greet" }, async ({ event }) => `Hello, ${event.data.who}`),
  on({ id: "stepped" }, async ({ step }) => step.run("a", () => "one")),
  on({ id: "broken" }, async () => {
    throw new NonRetriableError("never");
  }),
  on({ id: "slow" }, async () => {
    await setTimeout(2200);
    return "at last";
  }),
];

await connect({ apps: [{ client: inngest as any, functions }], isolateExecution: false } as any);
console.log("up");
