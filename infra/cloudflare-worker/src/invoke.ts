// Lambda's Invoke, asynchronous, signed and tried again.
//
// "Invoke" in the Lambda API reference: POST /2015-03-31/functions/NAME/invocations, answered by 202 when the event is
// queued. Each try is signed anew, because a signature is good for minutes only.

import { AwsClient } from "aws4fetch";
import type { Settings } from "./settings";

export const accepted = "accepted";

const TRIES_MAX = 5;
const WAIT_MS = 1_000;
const ANSWER_MS_MAX = 15_000;

// Returns how many tries it took.
export async function invoke(env: Settings, name: string, event: Record<string, unknown>): Promise<number> {
  const endpoint = env.AWS_ENDPOINT_URL_LAMBDA ?? `https://lambda.${env.AWS_REGION}.amazonaws.com`;
  const url = `${endpoint}/2015-03-31/functions/${encodeURIComponent(name)}/invocations`;
  const client = new AwsClient({
    accessKeyId: env.AWS_ACCESS_KEY_ID,
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
    service: "lambda",
    region: env.AWS_REGION,
    // The loop below does that: aws4fetch's own would not try again when there is no answer at all.
    retries: 0,
  });
  const body = JSON.stringify(event);
  for (let tries = 1; ; tries++) {
    const failure = await attempt(client, url, body);
    if (!failure) return tries;
    if (!failure.passing || tries === TRIES_MAX) {
      throw new Error(`Invoking ${name} failed after ${tries} ${tries === 1 ? "try" : "tries"}: ${failure.reason}`);
    }
    const wait = (env.RETRY_WAIT_MS ?? WAIT_MS) * 2 ** (tries - 1);
    // Between half of it and all of it, so that many Workers do not come back together.
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
  }
}

interface Failure {
  reason: string;
  // Whether it may pass by itself.
  passing: boolean;
}

async function attempt(client: AwsClient, url: string, body: string): Promise<Failure | undefined> {
  const headers = { "content-type": "application/json", "x-amz-invocation-type": "Event" };
  let response: Response;
  try {
    const request = await client.sign(url, { method: "POST", headers, body });
    response = await fetch(request, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  } catch (error) {
    return { reason: `no answer: ${error instanceof Error ? error.message : error}`, passing: true };
  }
  const text = (await response.text().catch(() => "")).slice(0, 500);
  if (response.status === 202) return undefined;
  const passing = response.status === 429 || response.status >= 500;
  return { reason: `status ${response.status} ${text}`.trim(), passing };
}
