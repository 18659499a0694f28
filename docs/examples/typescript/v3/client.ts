import { Inngest } from 'inngest';

// INNGEST_DEV, or INNGEST_BASE_URL and the keys, say where the service is.
export const inngest = new Inngest({ id: 'n8n-clone' });
