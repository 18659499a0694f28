// The app: Express, and the functions at /api/inngest. PORT=0 takes a free port.
import type { AddressInfo } from 'node:net';
import express from 'express';
import { serve } from 'inngest/express';
import { inngest } from './client.js';
import { execute, extractData, generateContent, streamResponse, summarize } from './functions.js';
import { ragWorkflow, ragWorkflowOffloaded } from './rag.js';
import { approval, greet, nextStep, rateLimitedJob, throttledJob } from './workflows.js';

const app = express();
app.use(express.json({ limit: '10mb' }));
app.use(
  '/api/inngest',
  serve({
    client: inngest,
    functions: [
      execute,
      extractData,
      generateContent,
      streamResponse,
      summarize,
      ragWorkflow,
      ragWorkflowOffloaded,
      approval,
      greet,
      nextStep,
      rateLimitedJob,
      throttledJob,
    ],
  }),
);

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on ${(server.address() as AddressInfo).port}`);
});
