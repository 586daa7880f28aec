// What wrangler.toml and secrets say. Problems name the setting and the cure; no message holds a secret.

export interface Settings {
  AWS_REGION: string;
  AWS_ACCESS_KEY_ID: string;
  AWS_SECRET_ACCESS_KEY: string;
  // A Slack-compatible webhook. Without it, failures are only in Cloudflare's log.
  ALERT_URL?: string;
  // Cron expression -> job.
  JOBS: Record<string, { function: string; event?: Record<string, unknown> }>;
  // Another endpoint of Lambda, as for the AWS SDKs. For tests.
  AWS_ENDPOINT_URL_LAMBDA?: string;
  // The wait before the second try; each further one is twice as long.
  RETRY_WAIT_MS?: number;
}

export interface Job {
  name: string;
  event: Record<string, unknown>;
}

export function job(env: Settings, cron: string): Job {
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const) {
    if (!env[name]) throw new Error(`The secret ${name} is not set. Set it: npx wrangler secret put ${name}`);
  }
  if (!env.AWS_REGION) throw new Error("AWS_REGION is not set in wrangler.toml.");
  const found = env.JOBS?.[cron];
  if (!found?.function) {
    throw new Error(`JOBS in wrangler.toml has no function for the cron trigger "${cron}". Spell both alike.`);
  }
  return { name: found.function, event: found.event ?? {} };
}
