// A Cloudflare Worker that invokes pgark's Lambda functions on cron triggers.
//
// It only starts work: the invocation is asynchronous, so the answer is "accepted", and what comes of the run is told by
// the function, its alarms and the health check. A call that is not accepted is tried again, and then told to ALERT_URL.
// Trying again is safe: each event carries its slot, the time for which it was meant, and a function does the work of a
// slot once. Amazon's scheduler names its slots by the same text, so the two can stand side by side.

import { accepted, invoke } from "./invoke";
import { job, type Settings } from "./settings";
import { alert } from "./alert";

export default {
  async scheduled(controller: ScheduledController, env: Settings): Promise<void> {
    // To the second, as EventBridge Scheduler writes it.
    const slot = `${new Date(controller.scheduledTime).toISOString().slice(0, 19)}Z`;
    const run = `${controller.cron} of ${slot}`;
    try {
      const { name, event } = job(env, controller.cron);
      const tries = await invoke(env, name, { ...event, slot });
      console.log(JSON.stringify({ level: "INFO", message: accepted, function: name, slot, tries }));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      console.error(JSON.stringify({ level: "ERROR", message: reason, cron: controller.cron, slot }));
      await alert(env, `pgark: the run of ${run} was not started. ${reason}`);
      // Cloudflare counts the run as failed then, and its own notifications see it.
      throw error;
    }
  },
} satisfies ExportedHandler<Settings>;
