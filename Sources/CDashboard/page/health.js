// The first sentence of the overview: "All well", or what is not, worst first, each with the place to go.

import { plural } from "./format.js";
import { link } from "./route.js";

const RECENT = 24 * 3600_000;

export function health(queue, dead) {
  const problems = [];
  const bad = (one) => problems.push({ tone: "bad", ...one });
  const warn = (one) => problems.push({ tone: "warn", ...one });
  if (queue.daemon && !queue.daemon.running) {
    bad({ text: "The daemon is not running", more: "jobs are accepted and wait; nothing is run", href: link("system") });
  }
  for (const alert of queue.alerts ?? []) bad({ text: alert.message, at: alert.since, href: link("system") });
  // What died today needs somebody; what is older was seen, and has a page of its own.
  const groups = (dead?.groups ?? []).filter((group) => group.code !== "cancelled" && group.sample?.outcome !== "cancelled" && Date.now() - Date.parse(group.newest_at) < RECENT);
  for (const group of groups.sort((a, b) => b.count - a.count).slice(0, 3)) {
    bad({ text: `${group.count} ${group.type ?? "without a type"} dead`, more: group.error, at: group.newest_at, href: link("jobs", group.filter) });
  }
  if (groups.length > 3) {
    const rest = groups.slice(3).reduce((sum, group) => sum + group.count, 0);
    bad({ text: `${plural(rest, "more dead job")} in ${plural(groups.length - 3, "group")}`, href: link("dead") });
  }
  const who = queue.paused?.by ?? {};
  const by = (name) => ({ more: who[name] && `by ${who[name].by}`, at: who[name]?.since });
  if (queue.paused?.all) warn({ text: "The whole queue is paused", ...by("all"), href: link("types") });
  const names = queue.paused?.types ?? [];
  if (names.length) {
    warn({ text: `${names.length > 3 ? plural(names.length, "type") : names.join(", ")} ${names.length === 1 ? "is" : "are"} paused`, ...(names.length === 1 ? by(names[0]) : {}), href: link("types") });
  }
  if (queue.paused?.schedules) warn({ text: "All schedules are paused", href: link("schedules") });
  const { cur = 0, ready = 0, retry = 0 } = queue.counts;
  const calm = [cur ? `${plural(cur, "job")} running` : "Nothing running", ready ? `${plural(ready, "job")} ready to start` : "none waiting for a start", retry && `${retry} to be tried again`];
  return { problems, calm: calm.filter(Boolean).join(", ") + "." };
}
