#!/usr/bin/env node
// Analyses a document: what it is about, how long, how hopeful. A worker: a job per line in, an answer per line out, several at
// once. A second run of a job harms nothing: it writes no more than its answer, and the report it asks for has an id made from
// its own.
import { createInterface } from "node:readline";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { drop } from "./drop.mjs";

const HOPEFUL = new Set(["good", "better", "happy", "gain", "bright"]);
const GLOOMY = new Set(["bad", "worse", "sad", "loss", "dark"]);

async function analyse(job, say) {
  const { document, kind, userId } = job.payload;
  say({ progress: 10, stage: "read" });
  const text = await readFile(`${process.env.DOCUMENTS}/${document}`, "utf8");
  await pause(Number(process.env.PACE_MS));
  if (!text.trim()) throw Object.assign(new Error(`${document} is empty`), { code: "EMPTY", retry: false });

  say({ progress: 40, stage: "count" });
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const counts = new Map();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  await pause(Number(process.env.PACE_MS));

  say({ progress: 70, stage: "score" });
  const score = words.filter((word) => HOPEFUL.has(word)).length - words.filter((word) => GLOOMY.has(word)).length;
  await pause(Number(process.env.PACE_MS));

  const topics = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, 5);
  // The report on it is a job of its own, shown among this one's children.
  const report = `${job.id}.report`;
  await once(report, { type: "export-report", parent: job.id, meta: job.meta, payload: { of: job.id, score, words: words.length } });
  return {
    summary: { words: words.length, score, verdict: score > 0 ? "hopeful" : score < 0 ? "gloomy" : "neutral" },
    metadata: { document, kind, userId, attempt: job.attempt },
    records: [...topics.map(([word, count]) => ({ kind: "topic", word, count })), { kind: "report", id: report }],
  };
}

/** Drops a job unless an earlier attempt did. */
async function once(id, job) {
  try {
    drop(process.env.JOBSPOOL_DIR, id, JSON.stringify(job));
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
}

console.log = console.error; // what a library prints goes to the log, not between the answers
createInterface({ input: process.stdin }).on("line", async (line) => {
  const job = JSON.parse(line);
  const say = (answer) => process.stdout.write(JSON.stringify({ id: job.id, ...answer }) + "\n");
  try {
    say({ ok: true, result: await analyse(job, say) });
  } catch (error) {
    say({ ok: false, retry: error.retry ?? true, error: { code: error.code ?? error.name, message: error.message } });
  }
});
