// One job: where it stands and why, its life as a line, its attempts, what went in and came out, its log as it grows.

import { act, NAMES, verbsFor } from "./actions.js";
import { get, getJob, may } from "./api.js";
import { h } from "./dom.js";
import { bytes, clock, duration, exact, exactCount, percent, plural, shortId, since, typeOf, when } from "./format.js";
import { badge, icon, phaseOf } from "./icons.js";
import { jsonBlock } from "./json.js";
import { follow } from "./log.js";
import { go, jobLink, link } from "./route.js";
import { lifeOf } from "./life.js";
import { copyButton, empty, loading, progress, section, trouble } from "./ui.js";

/** What exit codes mean to jobspool; everything else is tried again. */
const EXITS = { 0: "done", 64: "usage", 65: "bad data", 66: "no input", 77: "not permitted", 78: "configuration", 100: "permanent", 75: "temporary failure", 126: "not executable", 127: "not found" };
const PERMANENT = new Set([64, 65, 66, 77, 78, 100]);

export default function job(page) {
  const id = page.route.path[1] ?? "";
  let data, audit, why, children, problem, due = 0;
  const log = follow(id, page.signal, () => data?.state === "cur");

  async function load() {
    try {
      data = await getJob(id, page.signal);
      problem = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error;
      return page.draw();
    }
    page.draw();
    const path = "jobs/" + encodeURIComponent(id);
    // Beside the job itself these are extras: one that fails is left out, not an error of the page.
    const extra = (part) => get(`${path}/${part}`, null, page.signal).catch(() => null);
    [audit, why, children] = await Promise.all([
      extra("audit"), data.state === "new" || data.state === "hold" ? extra("why") : null,
      may("read") && get("jobs", { parent: id, limit: 12 }, page.signal).catch(() => null),
    ]);
    page.draw();
    log.look();
  }

  page.on("update", ({ change, job: row }) => {
    if (row.id !== id || !data) return;
    if (change === "purged") return load();
    if (change === "progress") data.progress = row.progress;
    else Object.assign(data, { error: undefined, outcome: undefined }, row);
    page.draw();
    if (change !== "progress" && !due) due = setTimeout(() => ((due = 0), page.signal.aborted || load()), 250);
  });
  page.on("reload", load);
  page.on("resumed", load);
  page.every(30_000, load);
  page.keys = {
    r: () => data && act("requeue", data), c: () => data && act("cancel", data),
    h: () => data && act(data.state === "hold" ? "release" : "hold", data),
    e: () => data && may("admin") && go(link("edit/" + encodeURIComponent(id))),
    u: () => history.length > 1 ? history.back() : go(link("jobs")),
  };
  load();

  return () => {
    if (!data) {
      if (problem?.status === 404) {
        return h("div", { class: "job-page" }, empty("No such job", h("code", null, id), " is in none of the folders. Retention may have removed it. ", h("a", { href: link("jobs") }, "All jobs")));
      }
      return h("div", { class: "job-page" }, problem ? trouble(problem, load) : loading(10));
    }
    page.title(`${typeOf(data)} ${shortId(id)}`);
    return h("div", { class: "job-page" },
      h("nav", { class: "crumbs", "aria-label": "Where" }, h("a", { href: link("jobs") }, "Jobs"), icon("chevron"), data.type ? h("a", { href: link("jobs", { type: data.type }) }, data.type) : typeOf(data)),
      h("header", { class: "job-head" },
        h("div", null,
          h("h1", null, typeOf(data), " ", badge(data)),
          h("p", { class: "id" }, h("code", null, id), copyButton(id, "Copy the id"))),
        h("div", { class: "buttons" },
          verbsFor(data).map((verb) => h("button", { key: verb, class: verb === "delete" ? "danger" : "", onclick: () => run(verb) }, NAMES[verb])),
          may("admin") && data.state !== "cur" && data.state !== "done" && h("a", { class: "button", href: link("edit/" + encodeURIComponent(id)) }, data.state === "dead" ? "Edit and requeue" : "Edit"),
          may("submit") && h("a", { class: "button", href: link("submit", { from: id }) }, "Submit again"))),
      problem && trouble(problem, load),
      standing(),
      life(),
      h("div", { class: "columns" },
        h("div", null, attempts(), logSection(), auditSection()),
        h("div", null, factsSection(), payload(), result(), family())));
  };

  async function run(verb) {
    if ((await act(verb, data)) && verb === "delete") go(link("jobs"));
  }

  /** The one thing to know now. */
  function standing() {
    if (data.state === "cur") {
      const at = data.progress ?? {};
      return h("div", { class: "standing t-cur" },
        h("p", null, h("strong", null, at.stage ?? "Running"), at.message && [" · ", at.message], h("span", { class: "at" }, since(data.started_at), at.percent !== undefined && at.percent !== null && ` · ${Math.round(at.percent)} %`)),
        progress(at.percent, "Progress"));
    }
    if (data.error && data.state !== "done") {
      const more = data.error.details;
      return h("div", { class: "standing " + (data.state === "dead" ? "t-dead" : "t-retry") },
        h("p", null, h("strong", null, data.error.message ?? "Failed"), data.error.code && h("code", null, data.error.code)),
        data.state === "new" && why && (phaseOf(data) === "retry" && data.due ? h("p", null, `Attempt ${data.attempt} failed. The next is due `, when(data.due), ".") : h("p", null, why.text)),
        more !== undefined && more !== null && jsonBlock(more, "details of the error"));
    }
    if (why?.text) return h("div", { class: "standing t-" + phaseOf(data) }, h("p", null, h("strong", null, "Why it waits: "), why.text, why.job && why.job !== id && [" ", h("a", { href: jobLink(why.job) }, "Show that job")]));
    return null;
  }

  function life() {
    const steps = lifeOf(data, audit?.lines);
    if (steps.length < 2) return null;
    return section("Life", null,
      h("ol", { class: "life" }, steps.map((step, index) =>
        h("li", { key: index, class: `life-${step.after ?? "end"} mark-${step.tone}`, style: step.after ? { flexGrow: String(step.weight) } : { flexGrow: "0" } },
          h("span", { class: "life-dot", "aria-hidden": "true" }),
          h("span", { class: "life-name" }, step.name),
          h("time", { class: "life-time", datetime: step.at, title: exact(new Date(step.at)) }, clock(new Date(step.at), true)),
          step.by && h("span", { class: "life-by" }, "by " + step.by),
          step.after && h("span", { class: "life-span" }, step.open ? since(step.at) : duration(step.seconds))))));
  }

  function attempts() {
    const list = [...(data.attempts ?? [])];
    // The record gets an attempt at its end; the one that runs is known by its start.
    if (data.state === "cur" && data.started_at && (list.at(-1)?.ended_at || !list.length)) list.push({ n: data.attempt, started_at: data.started_at });
    if (!list.length) return null;
    const measured = list.some((one) => one.cpu_s !== undefined || one.max_rss !== undefined);
    const heads = ["", "Started", "Took", "Ended", ...(measured ? ["CPU", "Memory"] : [])];
    return section("Attempts", h("span", { class: "dim" }, data.max_attempts ? `${exactCount(data.attempt)} of ${exactCount(data.max_attempts)}` : ""),
      h("div", { class: "scroll" }, h("table", { class: "attempts" },
        h("thead", null, h("tr", null, heads.map((name, index) => h("th", { scope: "col", class: index === 0 || index === 2 || index > 3 ? "num" : "" }, name)))),
        h("tbody", null, list.map((one, index) => [
          h("tr", { key: "a" + index },
            h("td", { class: "num dim" }, one.n),
            h("td", null, when(one.started_at)),
            h("td", { class: "num" }, one.ended_at ? duration((Date.parse(one.ended_at) - Date.parse(one.started_at)) / 1000) : since(one.started_at)),
            h("td", null, ending(one)),
            measured && h("td", { class: "num" }, duration(one.cpu_s)),
            measured && h("td", { class: "num" }, bytes(one.max_rss))),
          (one.error || index < list.length - 1 || data.phase === "retry") && one.ended_at && h("tr", { key: "n" + index, class: "note-row" }, h("td"), h("td", { colspan: heads.length - 1 }, one.error && h("span", { class: "error" }, one.error.message ?? one.error.code ?? String(one.error)), " ", next(one, list[index + 1])))])))));
  }

  function ending(one) {
    if (!one.ended_at) return badge({ phase: "cur" });
    const good = one.outcome === "done";
    const words = one.signal ? `signal ${one.signal}` : one.exit !== undefined && one.exit !== null && one.exit !== 0 ? `exit ${one.exit}` : null;
    const meaning = words && !one.signal && EXITS[one.exit];
    return [h("span", { class: "badge t-" + (good ? "done" : "dead") }, icon(good ? "done" : "dead"), one.outcome ?? "ended"), words && h("span", { class: "dim", title: PERMANENT.has(one.exit) ? "not tried again" : null }, ` ${words}${meaning ? ", " + meaning : ""}`)];
  }

  function next(one, later) {
    if (one.outcome === "done") return null;
    if (later) return h("span", { class: "dim" }, `tried again after ${duration((Date.parse(later.started_at) - Date.parse(one.ended_at)) / 1000)}`);
    if (data.phase === "retry" && (data.next_attempt_at ?? data.due)) return h("span", { class: "dim" }, "tried again ", when(data.next_attempt_at ?? data.due));
    return null;
  }

  function logSection() {
    return section("Log", log.aside(), log.element);
  }

  function auditSection() {
    if (!audit?.lines?.length) return null;
    const known = new Set(["ts", "seq", "event", "job", "type", "from", "to", "attempt", "by", "prev", "node", "record", "submitted_at", "record_sha256", "head", "tail", "bytes", "uid", "file", "before", "after"]);
    const word = ([name, value]) => (name.endsWith("_us") ? `${name.slice(0, -3)} ${duration(value / 1e6)}` : `${name.replace(/_/g, " ")} ${value}`);
    return section("Audit", h("span", { class: "dim" }, plural(audit.lines.length, "line")),
      h("div", { class: "scroll" }, h("table", { class: "audit" },
        h("thead", { class: "sr" }, h("tr", null, ["When", "Event", "Details", "By"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", null, audit.lines.map((line, index) => h("tr", { key: index },
          h("td", { class: "num" }, h("time", { datetime: line.ts, title: exact(new Date(line.ts)) }, clock(new Date(line.ts), true))),
          h("td", null, h("strong", null, line.event)),
          h("td", { class: "dim" }, [line.from && line.to && line.from !== line.to && `${line.from} → ${line.to}`, line.attempt !== undefined && `attempt ${line.attempt}`,
            ...Object.entries(line).filter(([name, value]) => !known.has(name) && (typeof value !== "object" || value === null)).slice(0, 4).map(word)].filter(Boolean).join(" · ")),
          h("td", { class: "by" }, who(line.by))))))));
  }

  function factsSection() {
    const { submitted_by: by, handler } = data;
    const row = (name, ...value) => value.some((one) => one !== undefined && one !== null && one !== false && one !== "") && [h("dt", null, name), h("dd", null, value)];
    return section("About", null,
      h("dl", { class: "facts" },
        row("Submitted", when(data.submitted_at), by && ` by ${by.subject ?? by.user ?? by.uid}`),
        row("Started", data.started_at && data.state !== "new" && data.state !== "hold" && when(data.started_at)),
        row("Finished", data.finished_at && when(data.finished_at)),
        row("Due", data.due && (data.phase === "scheduled" || data.phase === "retry") && when(data.due)),
        row("Expires", data.expires_at && when(data.expires_at)),
        row("Waited", data.wait_s !== undefined && duration(data.wait_s)),
        row("Ran", data.run_s !== undefined && duration(data.run_s)),
        row("Priority", String(data.priority)),
        row("Time limit", data.timeout_s !== undefined && data.timeout_s !== null && duration(data.timeout_s)),
        row("Handler", handler === null ? "none" : handler && [handler.mode, handler.concurrency && `, ${handler.concurrency} at once`]),
        row("Batch", data.batch && h("a", { href: link("jobs", { batch: data.batch }) }, data.batch)),
        row("Tags", data.tags?.length > 0 && data.tags.map((tag) => h("a", { class: "tag", href: link("jobs", { tag }) }, tag))),
        row("Notify", data.notify?.length > 0 && data.notify.join(", "))),
      data.meta && Object.keys(data.meta).length > 0 && [h("h3", null, "Meta"), jsonBlock(data.meta, "meta")]);
  }

  function payload() {
    return section("Payload", null, data.payload === undefined ? empty("None.") : jsonBlock(data.payload, "payload"));
  }

  function result() {
    const { result: value } = data;
    if (value === undefined || value === null) return null;
    return section("Result", null, typeof value === "string" ? h("div", { class: "json" }, copyButton(value, "Copy result"), h("pre", null, value)) : jsonBlock(value, "result"));
  }

  function family() {
    const { parent, after = [] } = data;
    const { jobs: mine = [], total: many } = children || {};
    if (!parent && !after.length && !mine.length) return null;
    const one = (child) => h("li", { key: child.id }, badge(child), h("a", { href: jobLink(child.id) }, typeOf(child), " ", h("code", null, shortId(child.id))));
    return section("Family", null,
      parent && [h("h3", null, "Parent"), h("ul", { class: "family" }, h("li", null, h("a", { href: jobLink(parent) }, h("code", null, parent))))],
      after.length > 0 && [h("h3", null, "Runs after"), h("ul", { class: "family" }, after.map((other) => {
        const name = other.id ?? other;
        return h("li", null, other.state && badge(other), name.startsWith("batch:") ? h("a", { href: link("jobs", { batch: name.slice(6) }) }, name) : h("a", { href: jobLink(name) }, h("code", null, name)));
      }))],
      mine.length > 0 && [h("h3", null, "Children ", h("span", { class: "dim" }, exactCount(many))), h("ul", { class: "family" }, mine.map(one)),
        many > mine.length && h("a", { href: link("jobs", { parent: id }) }, `All ${exactCount(many)}`)]);
  }
}

/** Who did it: a name, or what the audit log says of a user. */
const who = (by) => (by === undefined || by === null ? "" : typeof by === "object" ? by.subject ?? by.user ?? by.uid ?? "" : String(by));
