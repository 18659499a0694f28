// Durable endpoints, each at a path of its own, on the SDK's own server; the name of the app comes from the environment.
import type { AddressInfo } from "node:net";
import { step } from "inngest4";
import { Inngest } from "inngest4";
import { createEndpointServer, endpointAdapter } from "inngest4/node";
import { note } from "./sdk.js";

const inngest = new Inngest({ id: process.env.APP ?? "js", endpointAdapter } as any);
const json = (value: unknown) => new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });
const failed = new Set<string>();

const handlers: Record<string, (id: string) => Promise<Response>> = {
  // All steps run in the request itself.
  "/inline": async (id) => {
    const one = await step.run("one", () => (note(id, "one"), 1));
    const two = await step.run("two", () => (note(id, "two"), one + 1));
    return json({ id, two });
  },
  // The second step is after a sleep: the caller is sent elsewhere.
  "/sleeps": async (id) => {
    const one = await step.run("one", () => (note(id, "one"), 1));
    await step.sleep("nap", 50);
    const both = await Promise.all([step.run("a", () => one + 1), step.run("b", () => (note(id, "b"), one + 2))]);
    return json({ id, both });
  },
  // Its step fails once.
  "/fails": async (id) => {
    const said = await step.run("tries", () => {
      note(id, "tried");
      if (!failed.has(id)) {
        failed.add(id);
        throw new Error("not yet");
      }
      return "done";
    });
    return new Response(`${said} for ${id}`);
  },
};

const endpoint = (inngest as any).endpoint(async (request: Request) => {
  const url = new URL(request.url);
  return handlers[url.pathname]!(url.searchParams.get("id")!);
});

const server = createEndpointServer(endpoint);
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on ${(server.address() as AddressInfo).port}`);
});
