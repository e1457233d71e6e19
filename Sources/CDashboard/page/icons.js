// The shapes beside the words: each state has its own, so colour is never the only sign.

import { h, s } from "./dom.js";

const PATHS = {
  ready: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3z",
  scheduled: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2l2.2 1.3",
  retry: "M12.8 7A5 5 0 1 0 12 11M13 3.5V7H9.5",
  blocked: "M5 3v10M11 3v10M2.5 8h11",
  cur: "M5 3.2v9.6L13 8z",
  done: "M3 8.5l3.3 3.3L13 4.8",
  dead: "M4 4l8 8M12 4l-8 8",
  hold: "M5.5 3.5v9M10.5 3.5v9",
  warn: "M8 2.2L1.8 13.2h12.4zM8 6.5v3.2M8 11.3v.2",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.3L14 14",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  copy: "M5.5 5.5h7.5v8H5.5zM3 10.5v-8h7.5",
  close: "M4 4l8 8M12 4l-8 8",
  chevron: "M6 4l4 4-4 4",
  plus: "M8 3v10M3 8h10",
};
const FILLED = new Set(["cur"]);

export const icon = (name, label) =>
  s(
    "svg",
    { class: "icon i-" + name, viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": label ? null : "true", role: label ? "img" : null, "aria-label": label },
    s("path", { d: PATHS[name], fill: FILLED.has(name) ? "currentColor" : "none", stroke: "currentColor" }),
  );

/** The words for the states, as the spool names them on disk and as people say them. */
export const STATES = {
  ready: "Ready", scheduled: "Scheduled", retry: "Retry", blocked: "Blocked",
  cur: "Running", done: "Done", dead: "Dead", hold: "Held", new: "Waiting",
};
const OUTCOMES = {
  failed: "Failed", rejected: "Rejected", expired: "Expired", cancelled: "Cancelled",
  duplicate: "Duplicate", rate_limited: "Over its rate",
};

export const phaseOf = (job) => job.phase ?? (job.state === "new" ? "ready" : job.state);

export function badge(job) {
  const phase = phaseOf(job);
  const word = (phase === "dead" && OUTCOMES[job.outcome]) || STATES[phase] || phase;
  return h("span", { class: "badge t-" + phase }, icon(PATHS[phase] ? phase : "ready"), word);
}
