// Steps that the service does: sleeping, waiting, invoking, asking models, fetching.
import { anthropic, gemini, openai, referenceFunction } from "#inngest";
import { app, note, on } from "./sdk.js";

const provider = process.env.PROVIDER ?? "";
const fileUrl = process.env.PAGE ?? "";

const sleeps = on({ id: "sleeps" }, async ({ event, step }) => {
  note(event.data.id, "before");
  await step.sleep("a while", "1s");
  const until = await step.run("until", () => new Date(Date.now() + 1000).toISOString());
  await step.sleepUntil("a date", new Date(until));
  return step.run("after", () => note(event.data.id, "after"));
});

const waitsFor = on({ id: "waits" }, async ({ event, step }) => {
  const answer = await step.waitForEvent("answer", { event: `${app}/answer`, match: "data.id", timeout: "1h" });
  const none = await step.waitForEvent("none", { event: `${app}/answer`, if: "async.data.id == 'nobody'", timeout: "1s" });
  return { answer: answer?.data, none };
});

const cancels = on(
  { id: "cancels", cancelOn: [{ event: `${app}/cancel`, if: "async.data.id == event.data.id" }] },
  async ({ event, step }) => {
    note(event.data.id, "began");
    await step.sleep("long", "1h");
    note(event.data.id, "went on");
  },
);

const doubles = on({ id: "doubles" }, async ({ event, step }) => {
  if (typeof event.data.number !== "number") {
    throw new Error("no number");
  }
  return step.run("double", () => event.data.number * 2);
});

const invokes = on({ id: "invokes" }, async ({ event, step }) => {
  const { native } = event.data;
  const here = await step.invoke("here", { function: doubles, data: { number: 4 } });
  const there = await step.invoke("there", {
    function: referenceFunction({ appId: native, functionId: "triples" }),
    data: { number: 4 },
  });
  const errors: string[] = [];
  for (const functionId of ["doubles", "nobody"]) {
    try {
      await step.invoke(`fails ${functionId}`, { function: referenceFunction({ functionId }), data: {} });
    } catch (error) {
      errors.push((error as Error).message);
    }
  }
  return { here, there, errors };
});

const infers = on({ id: "infers" }, async ({ step }) => {
  const messages = [{ role: "user" as const, content: "What is 2 + 2?" }];
  const of = { apiKey: "sk-of-the-test" };
  const chat = await step.ai.infer("openai", {
    model: openai({ ...of, model: "gpt-4o", baseUrl: `${provider}/v1` }),
    body: { messages },
  });
  const claude = await step.ai.infer("anthropic", {
    model: anthropic({
      ...of,
      model: "claude-sonnet-4-5" as any,
      baseUrl: `${provider}/v1`,
      defaultParameters: { max_tokens: 100 },
    }),
    body: { messages, max_tokens: 100 },
  });
  const content = await step.ai.infer("gemini", {
    model: gemini({ ...of, model: "gemini-2.5-flash" as any, baseUrl: `${provider}/v1beta` }),
    body: { contents: [{ role: "user", parts: [{ text: "What is 2 + 2?" }] }] },
  });
  return [
    chat.choices[0]?.message.content,
    (claude as any).content[0].text,
    (content as any).candidates[0].content.parts[0].text,
  ];
});

const wraps = on({ id: "wraps" }, async ({ event, step }) => {
  const asked = async (question: { prompt: string }) => ({ text: note(event.data.id, question.prompt) });
  return step.ai.wrap("wrapped", asked, { prompt: "say it" });
});

const fetches = on({ id: "fetches" }, async ({ event, step }) => {
  const answer = await step.fetch(fileUrl, {
    method: "POST",
    headers: { "content-type": "application/json", "x-test": event.data.id },
    body: JSON.stringify({ id: event.data.id }),
  });
  return { status: answer.status, body: await answer.json(), type: answer.headers.get("x-answered") };
});

const signalled = on({ id: "signalled" }, async ({ event, step }) => {
  const opts = { timeout: "1h", onConflict: "fail" };
  const signal = await step.waitForSignal("signal", { ...opts, signal: `${app}-${event.data.id}` });
  const none = await step.waitForSignal("none", { ...opts, signal: `${app}-${event.data.id}-never`, timeout: "1s" });
  return { signal, none };
});

const signals = on({ id: "signals" }, async ({ event, step }) => {
  await step.sendSignal("signal", { signal: `${app}-${event.data.id}`, data: { said: "go" } });
});

export const waits = [
  ...[sleeps, waitsFor, cancels, doubles, invokes, infers, wraps, fetches, signalled, signals],
];
