// What the RAG workflow calls: a model for search words, and the service's search over an embedded table.
import { createOpenAI } from '@ai-sdk/openai';
import { generateText } from 'ai';

const openai = createOpenAI();

const service = process.env.CDC_URL ?? process.env.INNGEST_DEV ?? 'http://127.0.0.1:8288';

export type Found = { title: string; similarity: number };

/** The message as a question for a model. */
export function getPromptForToolsSearch(message: string) {
  return [{ role: 'user' as const, content: `Write the words to search our documents for: ${message}` }];
}

/** The words to search for. Calls OpenAI. */
export async function getToolsForMessage(message: string): Promise<string> {
  const { text } = await generateText({ model: openai('gpt-4o'), messages: getPromptForToolsSearch(message) });
  return text;
}

/** The documents nearest to some words, from the vector store in Postgres. */
export async function vectorSearch(words: string): Promise<Found[]> {
  const answer = await fetch(`${service}/v1/search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ table: 'documents', query: words, limit: 3 }),
  });
  if (!answer.ok) {
    throw new Error(`the search answered ${answer.status}: ${await answer.text()}`);
  }
  const { data } = await answer.json();
  return data.map((hit: any) => ({ title: hit.columns.title, similarity: hit.similarity }));
}
