// The Worker in workerd, Cloudflare's own runtime, with its scheduled event, against a stand-in for Lambda.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createHmac } from "node:crypto";
import { after, test } from "node:test";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { KEY, lambda, problem, webhook } from "./lambda.mjs";

const NIGHT = "0 2 * * *";
const SLOT_TIME = new Date("2026-11-21T02:00:00Z");
// As EventBridge Scheduler fills <aws.scheduler.scheduled-time> in: one clock must not repeat what the other did.
const SLOT = "2026-11-21T02:00:00Z";

const { outputFiles } = await build({
  entryPoints: [new URL("../src/index.ts", import.meta.url).pathname],
  bundle: true,
  format: "esm",
  write: false,
});
const script = outputFiles[0].text;

const closing = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

async function worker(endpoint, bindings = {}) {
  const log = [];
  const miniflare = new Miniflare({
    modules: true,
    script,
    compatibilityDate: "2026-04-01",
    handleRuntimeStdio(stdout, stderr) {
      for (const stream of [stdout, stderr]) stream.on("data", (data) => log.push(String(data)));
    },
    bindings: {
      AWS_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: KEY.id,
      AWS_SECRET_ACCESS_KEY: KEY.secret,
      AWS_ENDPOINT_URL_LAMBDA: endpoint,
      RETRY_WAIT_MS: 1,
      JOBS: {
        [NIGHT]: { function: "pgark-backup" },
        "0 5 * * *": { function: "pgark-prune", event: { apply: true } },
        "0 6 * * *": { function: "arn:aws:lambda:eu-central-1:123456789012:function:pgark-verify" },
      },
      ...bindings,
    },
  });
  closing.push(() => miniflare.dispose());
  const { scheduled } = await miniflare.getWorker();
  const fire = async (cron = NIGHT) => (await scheduled({ cron, scheduledTime: SLOT_TIME })).outcome;
  return { fire, log: () => log.join(""), fetch: (url) => miniflare.dispatchFetch(url) };
}

async function serving(start, ...answers) {
  const server = await start(...answers);
  closing.push(server.close);
  return server;
}

// Output reaches the log a moment after the answer, so tests that look into it wait for it; a limit ends those that wait in vain.
const LIMIT = { timeout: 60_000 };

test("each cron trigger invokes its function, signed, once, with its event and its slot", LIMIT, async () => {
  const aws = await serving(lambda, 202);
  const { fire } = await worker(aws.url);
  for (const [cron, path, event] of [
    [NIGHT, "pgark-backup", { slot: SLOT }],
    ["0 5 * * *", "pgark-prune", { apply: true, slot: SLOT }],
    [
      "0 6 * * *",
      "arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Apgark-verify",
      { slot: SLOT },
    ],
  ]) {
    assert.equal(await fire(cron), "ok");
    const call = aws.calls.at(-1);
    assert.equal(call.wrong, undefined);
    assert.equal(`${call.method} ${call.url}`, `POST /2015-03-31/functions/${path}/invocations`);
    assert.equal(call.headers["x-amz-invocation-type"], "Event");
    assert.deepEqual(JSON.parse(call.body), event);
  }
  assert.equal(aws.calls.length, 3);
});

test("what passes by itself is tried again, with the same slot and a signature of its own", LIMIT, async () => {
  const [aws, hook] = [await serving(lambda, 503, "cut", 429, 202), await serving(webhook)];
  const { fire } = await worker(aws.url, { ALERT_URL: hook.url });
  assert.equal(await fire(), "ok");
  assert.equal(aws.calls.length, 4);
  for (const call of aws.calls) {
    assert.equal(call.wrong, undefined);
    assert.deepEqual(JSON.parse(call.body), { slot: SLOT });
  }
  assert.deepEqual(hook.texts, []);
});

test("after five tries it gives up, says so, and the run counts as failed", LIMIT, async () => {
  const [aws, hook] = [await serving(lambda, 500), await serving(webhook)];
  const { fire } = await worker(aws.url, { ALERT_URL: hook.url });
  assert.equal(await fire(), "exception");
  assert.equal(aws.calls.length, 5);
  assert.equal(hook.texts.length, 1);
  assert.equal(
    hook.texts[0],
    `pgark: the run of ${NIGHT} of ${SLOT} was not started. Invoking pgark-backup failed after 5 tries: status 500 {"message":"answer 500"}`,
  );
});

test("a refusal is not repeated", LIMIT, async () => {
  const [aws, hook] = [await serving(lambda, 404), await serving(webhook)];
  const { fire } = await worker(aws.url, { ALERT_URL: hook.url });
  assert.equal(await fire(), "exception");
  assert.equal(aws.calls.length, 1);
  assert.match(hook.texts[0], /failed after 1 try: status 404/);
});

test("a wrong secret key is refused by the stand-in, and shown nowhere", LIMIT, async () => {
  const [aws, hook] = [await serving(lambda, 202), await serving(webhook)];
  const { fire, log } = await worker(aws.url, { AWS_SECRET_ACCESS_KEY: "not-the-secret", ALERT_URL: hook.url });
  assert.equal(await fire(), "exception");
  assert.equal(aws.calls[0].wrong, "the signature does not match");
  assert.match(hook.texts[0], /status 403/);
  while (!log().includes("status 403")) await new Promise(setImmediate);
  assert.doesNotMatch(hook.texts[0] + log(), /not-the-secret/);
});

test("nobody answers, and nobody can be told: the run still counts as failed", LIMIT, async () => {
  const [gone, hook] = [await lambda(202), await serving(webhook, 500)];
  await gone.close();
  const { fire, log } = await worker(gone.url, { ALERT_URL: `${hook.url}/T0SECRET` });
  assert.equal(await fire(), "exception");
  assert.equal(hook.texts.length, 3);
  assert.match(hook.texts[0], /failed after 5 tries: no answer/);
  while (!log().includes("the alert was not delivered: status 500")) await new Promise(setImmediate);
  assert.match(log(), /"message":"Invoking pgark-backup failed after 5 tries/);
  assert.doesNotMatch(log(), /T0SECRET/);
});

test("settings that are missing or do not fit are told with the cure", LIMIT, async () => {
  const aws = await serving(lambda, 202);
  for (const [cron, bindings, text] of [
    ["1 1 * * *", {}, /no function for the cron trigger "1 1 \* \* \*"\. Spell both alike/],
    [NIGHT, { AWS_SECRET_ACCESS_KEY: "" }, /secret AWS_SECRET_ACCESS_KEY is not set\. Set it: npx wrangler secret put/],
    [NIGHT, { JOBS: {} }, /no function for the cron trigger/],
    [NIGHT, { AWS_REGION: "" }, /AWS_REGION is not set in wrangler\.toml/],
  ]) {
    const hook = await serving(webhook);
    const { fire } = await worker(aws.url, { ALERT_URL: hook.url, ...bindings });
    assert.equal(await fire(cron), "exception");
    assert.match(hook.texts[0], text);
  }
  assert.equal(aws.calls.length, 0);
});

test("wrangler.toml: each cron trigger has a job and the reverse, with restore tests and without", LIMIT, async () => {
  const text = await readFile(new URL("../wrangler.toml", import.meta.url), "utf8");
  // What is commented out to be switched on: the other list of triggers, and the job.
  const withRestoreTests = text.replace(/^crons = .*\n/m, "").replace(/^# (crons =|"0 4)/gm, "$1");
  for (const [toml, restoreTests] of [[text, 0], [withRestoreTests, 1]]) {
    const crons = JSON.parse(/^crons = (\[.*\])$/m.exec(toml)[1]);
    const jobs = [...toml.matchAll(/^"([^"]+)" = \{ function = "pgark-([a-z-]+)"/gm)];
    assert.deepEqual(crons.toSorted(), jobs.map(([, cron]) => cron).toSorted());
    assert.equal(jobs.filter(([, , name]) => name === "restore-test").length, restoreTests);
    assert.ok(crons.length <= 5, "Workers Free has five for an account");
  }
});

// "Signature calculation examples" leave the Lambda API out, so the stand-in is held to the chain of keys that the IAM User
// Guide prints, and to refusing what was changed on the way.
test("the stand-in checks what it says it checks", LIMIT, async () => {
  const chain = ["20120215", "us-east-1", "iam", "aws4_request"].reduce(
    (key, part) => createHmac("sha256", key).update(part).digest(),
    "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  );
  assert.equal(chain.toString("hex"), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
  const aws = await serving(lambda, 202);
  const { fire } = await worker(aws.url);
  await fire();
  const { method, url, headers, body } = aws.calls[0];
  assert.equal(problem({ method, url, headers }, Buffer.from(body)), undefined);
  for (const [what, request, bytes] of [
    ["body", { method, url, headers }, body + " "],
    ["path", { method, url: url.replace("backup", "prune"), headers }, body],
    ["method", { method: "PUT", url, headers }, body],
    ["header", { method, url, headers: { ...headers, "x-amz-invocation-type": "RequestResponse" } }, body],
  ]) {
    assert.equal(problem(request, Buffer.from(bytes)), "the signature does not match", what);
  }
});
