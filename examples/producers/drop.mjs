#!/usr/bin/env node
// drop.mjs SPOOL ID JOB: hands the JSON text JOB to the spool. Exit 73: a job of that id waits there already.
import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, realpathSync, unlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Returns when the job is on the disk; throws with code EEXIST when `id` waits already. */
export function drop(spool, id, job) {
  // A fresh name in tmp/ each time, so that what a crash left there is never in the way.
  const staged = `${spool}/tmp/${id}.${randomUUID()}`;
  const file = openSync(staged, "wx", 0o640);
  try {
    try {
      writeFileSync(file, job + "\n");
      fsyncSync(file);
      // A rename would replace a job of the same name; link does not.
      linkSync(staged, `${spool}/new/${id}.json`);
    } finally {
      unlinkSync(staged);
    }
    const folder = openSync(`${spool}/new`, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
    // Again: on btrfs a folder's alone may return too early.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

// Not when it is imported.
if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [spool, id, job] = process.argv.slice(2);
  try {
    drop(spool, id, job);
    console.log(id);
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    console.error(`drop: ${id} is waiting already`);
    process.exitCode = 73;
  }
}
