// Models asked through the AI SDK, each call a step of its own.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { generateObject, generateText, streamText } from 'ai';
import { z } from 'zod';
import { inngest } from './client.js';

// The keys and the other base URLs are read from the environment by the packages themselves.
const google = createGoogleGenerativeAI({ baseURL: process.env.GOOGLE_GENERATIVE_AI_BASE_URL });
const openai = createOpenAI();
const anthropic = createAnthropic();

export const execute = inngest.createFunction(
  { id: 'execute-ai', name: 'Execute AI Function', retries: 3 },
  { event: 'execute/ai' },
  async ({ event, step }) => {
    const { steps: geminiSteps } = await step.ai.wrap('gemini-generate-text', generateText, {
      model: google('gemini-2.5-flash'),
      system: 'You are a helpful assistant.',
      prompt: event.data.prompt ?? 'What is 2 + 2?',
    });

    const { steps: openaiSteps } = await step.ai.wrap('openai-generate-text', generateText, {
      model: openai('gpt-4'),
      system: 'You are a helpful assistant.',
      prompt: event.data.prompt ?? 'What is 2 + 2?',
    });

    const { steps: anthropicSteps } = await step.ai.wrap('anthropic-generate-text', generateText, {
      model: anthropic('claude-sonnet-4-5'),
      system: 'You are a helpful assistant.',
      prompt: event.data.prompt ?? 'What is 2 + 2?',
    });

    return {
      geminiSteps,
      openaiSteps,
      anthropicSteps,
    };
  },
);

export const generateContent = inngest.createFunction(
  { id: 'generate-content' },
  { event: 'content/generate' },
  async ({ event, step }) => {
    const answer = await step.ai.wrap('generate-text', generateText, {
      model: openai('gpt-4'),
      system: 'You are a content writer.',
      prompt: event.data.prompt,
    });
    return { content: answer.steps[0].content };
  },
);

export const extractData = inngest.createFunction(
  { id: 'extract-data' },
  { event: 'data/extract' },
  async ({ event, step }) => {
    const person = z.object({ name: z.string(), email: z.string(), age: z.number() });
    // An arrow function keeps what is wanted of the answer: getters of the AI SDK's objects are not in their JSON.
    return step.ai.wrap('extract-structured-data', async (prompt: string) => {
      const { object } = await generateObject({ model: anthropic('claude-sonnet-4-5'), schema: person, prompt });
      return object;
    }, event.data.text);
  },
);

export const streamResponse = inngest.createFunction(
  { id: 'stream-response' },
  { event: 'response/stream' },
  async ({ event, step }) => {
    // A step is recorded when it has ended: the stream is read to its end.
    const text = await step.ai.wrap('stream-text', async (prompt: string) => {
      return streamText({ model: google('gemini-2.5-flash'), prompt }).text;
    }, event.data.prompt);
    return { text };
  },
);

export const summarize = inngest.createFunction(
  { id: 'summarize' },
  { event: 'text/summarize' },
  async ({ event, step }) => {
    const ask = async (model: Parameters<typeof generateText>[0]['model'], prompt: string) =>
      (await generateText({ model, prompt })).text;

    const summary = await step.ai.wrap('summarize', ask, openai('gpt-4'), `Summarize: ${event.data.text}`);

    const keywords = await step.ai.wrap(
      'extract-keywords',
      ask,
      google('gemini-2.5-flash'),
      `Extract keywords from: ${summary}`,
    );

    return { summary, keywords };
  },
);
