// Listens to topic `said` of channel `room` as a browser does, and says what it hears, a line of JSON each. `up`: it
// listens. `listener.ts <url of the service>`
import { Inngest } from "inngest4";
import { getSubscriptionToken, subscribe } from "inngest4/realtime";

const inngest = new Inngest({ id: "js4", isDev: true, baseUrl: process.argv[2] });
const token = await getSubscriptionToken(inngest as any, { channel: "room", topics: ["said"] });
const stream = await subscribe({ ...token, apiBaseUrl: process.argv[2] } as any);
console.log("up");
for await (const { channel, topic, kind, data, runId } of stream as any) {
  console.log(JSON.stringify({ channel, topic, kind, data, runId }));
}
