// An app as anybody would write one: Express, and `serve` of the SDK at /api/inngest. PORT=0 takes a free one.
import type { AddressInfo } from "node:net";
import express from "express";
import { serve } from "#inngest/express";
import { flow } from "./flow.js";
import { inngest, note } from "./sdk.js";
import { steps } from "./steps.js";
import { waits } from "./waits.js";

const isThree = process.execArgv.includes("--conditions=v3");
const deferring = isThree ? [] : (await import("./defers.js")).deferring;

const app = express();
app.use(express.json({ limit: "50mb" }));
app.use((request, _, next) => {
  note(`run ${request.headers["x-run-id"]}`, "called");
  next();
});
app.use("/api/inngest", serve({ client: inngest as any, functions: [...steps, ...waits, ...flow, ...deferring] }));

const server = app.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on ${(server.address() as AddressInfo).port}`);
});
