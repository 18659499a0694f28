// The one place that knows the two forms of the SDK: `#inngest` is version 3 under `node --conditions=v3`, else 4.
//
//   APP            name of the app; its events are named `<app>/<function>`
//   EFFECTS        file to which bodies note that they ran
//   CHECKPOINTING  `off` for one call a step; only version 4 checkpoints by itself
import { appendFileSync } from "node:fs";
import { Inngest } from "#inngest";

export const app = process.env.APP ?? "js";

const isThree = process.execArgv.includes("--conditions=v3");

// By itself version 4 breaks a call off after 10 seconds: as long as a busy machine may stand still.
const lasting = isThree ? {} : { checkpointing: { maxRuntime: "5m" } };
const checkpointing = process.env.CHECKPOINTING === "off" ? { checkpointing: false } : lasting;

export const inngest = new Inngest({ id: app, ...checkpointing } as any);

type Options = { id: string; [option: string]: unknown };
type Trigger = { event: string; if?: string } | { cron: string };
type Handler = (context: any) => unknown;

/** Three arguments make a function of version 3, two one of version 4. */
export function define(options: Options, trigger: Trigger, handler: Handler): any {
  const create = inngest.createFunction.bind(inngest) as (...given: unknown[]) => unknown;
  return isThree ? create(options, trigger, handler) : create({ ...options, triggers: [trigger] }, handler);
}

/** A function that is started by the event of its own name. */
export function on(options: Options, handler: Handler): any {
  return define({ retries: 0, ...options }, { event: `${app}/${options.id}` }, handler);
}

/** Note that a body ran, in the run or runs of the event with this `data.id`. */
export function note(id: string, what: string): string {
  appendFileSync(process.env.EFFECTS ?? "/dev/null", JSON.stringify({ id, what, at: Date.now() }) + "\n");
  return what;
}
