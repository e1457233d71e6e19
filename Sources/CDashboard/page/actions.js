// Acting on jobs: one, several, or all that match a filter. What can be undone is done at once and offers the way back;
// what cannot is asked first; what concerns many is counted first, by a dry run of the same request.

import { may, post, put, remove } from "./api.js";
import { h } from "./dom.js";
import { exactCount, plural, shortId, typeOf } from "./format.js";
import { badge, phaseOf } from "./icons.js";
import { jobLink } from "./route.js";
import { ask, failed, toast } from "./ui.js";

/** Which state each verb fits. The server has the last word; this only keeps buttons away that could not work. */
const FITS = {
  requeue: ["done", "dead"], cancel: ["new", "cur", "hold"], hold: ["new"], release: ["hold"], delete: ["done", "dead", "hold"],
};
const PAST = { requeue: "Requeued", cancel: "Cancelled", hold: "Held", release: "Released", delete: "Deleted" };
const WAY_BACK = { cancel: "requeue", hold: "release", release: "hold" };
export const NAMES = { requeue: "Requeue", cancel: "Cancel", hold: "Hold", release: "Release", delete: "Delete" };

export const fits = (verb, job) => FITS[verb].includes(job.state) && may(verb === "delete" ? "admin" : "operate");
export const verbsFor = (job) => Object.keys(FITS).filter((verb) => fits(verb, job));

/** One job. Resolves to whether it happened. */
export async function act(verb, job, { quietly } = {}) {
  const name = `${typeOf(job)} ${shortId(job.id)}`;
  if (!fits(verb, job)) {
    const why = may("operate") ? `${NAMES[verb]} does not fit: it is ${phaseOf(job)}.` : "Your role may only look.";
    return toast(`${name}: ${why}`, { problem: true }), false;
  }
  if (verb === "delete") {
    const sure = await ask({ title: `Delete ${name}?`, danger: true, yes: "Delete", body: h("p", null, "Its file and its log are removed. The audit log keeps that it was.") });
    if (!sure) return false;
  } else if (verb === "cancel" && job.state === "cur" && !quietly) {
    const sure = await ask({ title: `Cancel ${name}?`, danger: true, yes: "Cancel the job", body: h("p", null, "It is running: its processes get a moment to end and are then killed. What they did so far is not undone.") });
    if (!sure) return false;
  }
  // Said at once; a busy daemon may take a moment to answer.
  const note = toast(`${NAMES[verb]} ${name} …`);
  try {
    if (verb === "delete") await remove("jobs/" + encodeURIComponent(job.id));
    else await post(`jobs/${encodeURIComponent(job.id)}/${verb}`);
    note.remove();
    const back = WAY_BACK[verb];
    toast(`${PAST[verb]} ${name}`, {
      link: verb === "delete" ? null : { href: jobLink(job.id), text: "Show" },
      undo: back && may("operate") && !(verb === "cancel" && job.state === "cur") && {
        text: NAMES[back],
        action: () => act(back, { ...job, state: { cancel: "dead", hold: "hold", release: "new" }[verb] }, { quietly: true }),
      },
    });
    return true;
  } catch (error) {
    note.remove();
    failed(error);
    return false;
  }
}

/** The folder behind each word that a filter may have for a state. */
const FOLDERS = { ready: "new", scheduled: "new", retry: "new", blocked: "new", failed: "dead", rejected: "dead", expired: "dead", cancelled: "dead", duplicate: "dead", rate_limited: "dead" };

/** The filter without what the verb does not fit, so that what is counted is what will be done; null when nothing is left.
    To requeue everything means what died: what is done runs again only when it was asked for. */
function narrowed(verb, filter) {
  const words = filter.state?.length ? [filter.state].flat() : verb === "requeue" ? ["dead"] : FITS[verb];
  const state = words.filter((word) => FITS[verb].includes(FOLDERS[word] ?? word));
  return state.length ? { ...filter, state } : null;
}

/** Many: `target` is { ids } or { filter }. First the count, then the deed. */
export async function actOnMany(verb, { ids, filter }) {
  const target = ids ? { ids } : { filter: narrowed(verb, filter) };
  if (target.filter === null) return toast(`${NAMES[verb]} fits none of these.`, { problem: true }), false;
  let preview;
  try {
    preview = await post("jobs/bulk", { do: verb, ...target, dry_run: true });
  } catch (error) {
    return failed(error), false;
  }
  const refused = preview.refused?.length ?? 0;
  const able = preview.done || preview.matched - refused;
  const sure = await ask({
    title: able ? `${NAMES[verb]} ${plural(able, "job")}?` : `Nothing to ${verb}`,
    yes: `${NAMES[verb]} ${exactCount(able)}`, danger: verb === "delete" || verb === "cancel", ready: able > 0,
    body: [
      refused > 0 && h("p", null, `${exactCount(refused)} of the ${exactCount(preview.matched)} that match ${refused === 1 ? "is" : "are"} left alone${preview.refused?.[0] ? `: ${preview.refused[0].detail}` : "."}`),
      h("p", { class: "dim" }, verb === "delete" ? "This cannot be undone; the audit log keeps that they were." : "What matches is looked up again when you confirm."),
      preview.sample?.length ? h("ul", { class: "sample" }, preview.sample.slice(0, 6).map((job) => h("li", null, badge(job), h("strong", null, typeOf(job)), h("code", null, shortId(job.id)))), able > 6 && h("li", { class: "dim" }, `and ${exactCount(able - 6)} more`)) : null,
    ],
  });
  if (!sure) return false;
  const note = toast(`${NAMES[verb]}: ${plural(able, "job")} …`);
  try {
    const answer = await post("jobs/bulk", { do: verb, ...target, dry_run: false });
    note.remove();
    const left = answer.refused?.length ?? 0;
    toast(`${PAST[verb]} ${plural(answer.done, "job")}` + (left ? `; ${exactCount(answer.matched - answer.done)} refused: ${answer.refused[0].detail}` : ""), { problem: answer.done === 0 && left > 0 });
    return true;
  } catch (error) {
    note.remove();
    failed(error);
    return false;
  }
}

/** Another text for a job that waits, is held or is dead; `requeue` runs a dead one afterwards. */
export async function edit(id, text, requeue) {
  await put("jobs/" + encodeURIComponent(id), text);
  if (requeue) await post(`jobs/${encodeURIComponent(id)}/requeue`);
}
