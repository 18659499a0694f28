// A RAG workflow in steps: what a step found is not looked for again when a later one fails.
import { openai } from 'inngest';
import { inngest } from './client.js';
import { getPromptForToolsSearch, getToolsForMessage, vectorSearch } from './helpers.js';

export const ragWorkflow = inngest.createFunction(
  { id: 'rag-workflow', concurrency: 10, triggers: [{ event: 'chat.message' }] },
  async ({ event, step }) => {
    const { message } = event.data;

    const page = await step.run('tools.search', async () => {
      // Calls OpenAI
      return getToolsForMessage(message);
    });

    const found = await step.run('vector-search', async () => {
      // Searches in the vector store
      return vectorSearch(page);
    });

    return { page, found };
  },
);

// The same with the request offloaded: the service asks the model, and the app does not wait for it.
export const ragWorkflowOffloaded = inngest.createFunction(
  { id: 'rag-workflow-offloaded', concurrency: 10, triggers: [{ event: 'chat.message' }] },
  async ({ event, step }) => {
    const { message } = event.data;

    const prompt = getPromptForToolsSearch(message);
    const answer = await step.ai.infer('tools.search', {
      model: openai({ model: 'gpt-4o', baseUrl: process.env.OPENAI_BASE_URL }),
      body: {
        messages: prompt,
      },
    });

    const page = answer.choices[0]?.message.content ?? '';
    const found = await step.run('vector-search', () => vectorSearch(page));

    return { page, found };
  },
);
