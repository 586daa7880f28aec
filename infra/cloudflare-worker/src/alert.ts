// Tells people that a function could not be invoked. Slack's form, which Mattermost, Discord (/slack) and others take too.

import type { Settings } from "./settings";

const TRIES_MAX = 3;
const ANSWER_MS_MAX = 10_000;

// Never throws: the failure that it tells of is the one that counts.
export async function alert(env: Settings, text: string): Promise<void> {
  if (!env.ALERT_URL) return;
  let reason = "";
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      const response = await fetch(env.ALERT_URL, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ text }),
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      await response.body?.cancel();
      if (response.ok) return;
      reason = `status ${response.status}`;
    } catch {
      // The error may quote the address, which is a secret.
      reason = "no answer";
    }
  }
  console.error(JSON.stringify({ level: "ERROR", message: `the alert was not delivered: ${reason}` }));
}
