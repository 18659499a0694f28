// Workflows of several functions: sent events, waits, sleeps, limits; and one that a row of Postgres starts.
import { inngest } from './client.js';

// Each row that is inserted into `users` starts it.
export const greet = inngest.createFunction(
  { id: 'greet' },
  { event: 'db/users.inserted' },
  async ({ event, step }) => {
    const greeting = await step.run('create-greeting', () => `Hello, ${event.data.new.name}!`);

    await step.sendEvent('trigger-next-workflow', {
      name: 'workflow/next-step',
      data: { workflowId: event.data.new.id, greeting },
    });

    return greeting;
  },
);

export const nextStep = inngest.createFunction(
  { id: 'next-step' },
  { event: 'workflow/next-step' },
  async ({ event, step }) => {
    await step.sleep('wait-for-processing', '1s');
    return step.run('link-nodes', () => `${event.data.workflowId}: ${event.data.greeting}`);
  },
);

export const approval = inngest.createFunction(
  { id: 'approval' },
  { event: 'workflow/created' },
  async ({ event, step }) => {
    const result = await step.waitForEvent('wait-for-approval', {
      event: 'workflow/approved',
      timeout: '24h',
      match: 'data.workflowId',
    });
    return { workflow: event.data.workflowId, approvedBy: result?.data.by ?? null };
  },
);

export const rateLimitedJob = inngest.createFunction(
  {
    id: 'rate-limited-job',
    concurrency: {
      limit: 5, // At most 5 at a time
      key: 'event.data.userId', // for each user
    },
  },
  { event: 'job/rate-limited' },
  async ({ event, step }) => step.run('work', () => event.data.userId),
);

export const throttledJob = inngest.createFunction(
  { id: 'throttled-job', throttle: { limit: 10, period: '1s' } },
  { event: 'job/throttled' },
  async ({ event, step }) => step.run('work', () => event.data.number),
);
