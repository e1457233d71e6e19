// A job's life as steps with the times between them, from its audit lines; from its own record where those are not to be
// had. Pure: no page, no clock but the one for "until now".

const NAMES = {
  submitted: "Submitted", claimed: "Started", retried: "Failed", finished: "Done", buried: "Dead", rejected: "Rejected",
  cancelled: "Cancelled", expired: "Expired", requeued: "Requeued", held: "Held", released: "Released", recovered: "Recovered",
  stalled: "Stalled", duplicate: "Duplicate", edited: "Edited",
};
/** What is going on after an event: waiting, running, waiting for a retry, set aside, nothing. */
const AFTER = {
  submitted: "wait", claimed: "run", stage: "run", stalled: "run", retried: "retry", requeued: "wait", released: "wait", recovered: "wait", edited: "wait",
  held: "hold", finished: null, buried: null, rejected: null, cancelled: null, expired: null, duplicate: null,
};
const TONES = { finished: "done", buried: "dead", rejected: "dead", cancelled: "dead", expired: "dead", duplicate: "dead", retried: "retry", stalled: "retry", held: "hold" };
/** More would be a picket fence: of many attempts the first and the last are shown. */
const MOST = 14;

export function lifeOf(job, lines) {
  let events = (lines ?? []).filter((line) => line.event in AFTER || line.event === "stage");
  if (!events.length) events = fromRecord(job);
  const steps = events.map((line, index) => {
    const later = events[index + 1];
    const last = !later;
    // Between an end and a requeue lies nothing worth a bar.
    const after = last ? (job.state === "new" || job.state === "cur" || job.state === "hold" ? AFTER[line.event] : null) : AFTER[line.event] ?? "rest";
    const seconds = after ? ((later ? Date.parse(later.ts) : Date.now()) - Date.parse(line.ts)) / 1000 : null;
    return {
      at: line.ts, after, seconds, open: last && after !== null,
      name: line.event === "stage" ? line.stage ?? line.to ?? "Stage" : line.event === "claimed" && line.attempt > 1 ? `Attempt ${line.attempt}` : NAMES[line.event],
      tone: TONES[line.event] ?? (after === "run" ? "cur" : "plain"),
      // A second and a day side by side: the root keeps both to be seen.
      weight: seconds === null ? 0 : Math.max(1, Math.min(12, Math.sqrt(seconds))),
      by: ["cancelled", "requeued", "held", "released", "edited"].includes(line.event) ? name(line.by) : null,
    };
  });
  if (steps.length <= MOST) return steps;
  const cut = steps.length - MOST;
  const half = MOST / 2;
  const gap = { ...steps[half], name: `${cut} more`, tone: "plain", after: "rest", open: false, by: null };
  gap.seconds = (Date.parse(steps[half + cut].at) - Date.parse(gap.at)) / 1000;
  return [...steps.slice(0, half), gap, ...steps.slice(half + cut)];
}

const name = (by) => (by && typeof by === "object" ? by.subject ?? by.user ?? null : by ?? null);

function fromRecord(job) {
  const events = [{ ts: job.submitted_at, event: "submitted" }];
  const attempts = job.attempts ?? [];
  attempts.forEach((one, index) => {
    events.push({ ts: one.started_at, event: "claimed", attempt: one.n });
    const last = index === attempts.length - 1;
    if (one.ended_at && !(last && (job.state === "done" || job.state === "dead"))) events.push({ ts: one.ended_at, event: "retried" });
  });
  if (job.state === "done") events.push({ ts: job.finished_at, event: "finished" });
  if (job.state === "dead") events.push({ ts: job.finished_at, event: { cancelled: "cancelled", expired: "expired", rejected: "rejected" }[job.outcome] ?? "buried" });
  return events.filter((event) => event.ts);
}
