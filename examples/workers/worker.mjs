#!/usr/bin/env node
// A worker: a job per line in, an answer per line out, until the input ends. Several jobs may be on their way at once
// (concurrency larger than processes): each answer names its job.
import { createInterface } from "node:readline";

async function handle(job, say) {
  say({ progress: 50, stage: "greeting" });
  if (typeof job.payload?.name !== "string") throw Object.assign(new Error("payload.name is missing"), { retry: false });
  return { greeting: `Hello, ${job.payload.name}` };
}

console.log = console.error; // what a library prints goes to the log, not between the answers
createInterface({ input: process.stdin }).on("line", async (line) => {
  const job = JSON.parse(line);
  const say = (answer) => process.stdout.write(JSON.stringify({ id: job.id, ...answer }) + "\n");
  try {
    say({ ok: true, result: (await handle(job, say)) ?? null });
  } catch (error) {
    say({ ok: false, retry: error.retry ?? true, error: { code: error.code ?? error.name, message: error.message } });
  }
});
