// Is it well? If not, what is wrong, and where do I press? Everything else on this page is second to its first sentence.

import { get } from "./api.js";
import { heat, stacked } from "./charts.js";
import { h } from "./dom.js";
import { clock, count, duration, exactCount, percent, plural, shortId, since, when } from "./format.js";
import { health } from "./health.js";
import { icon, STATES } from "./icons.js";
import { jobLink, link } from "./route.js";
import { empty, loading, meta, progress, section, trouble } from "./ui.js";

const TILES = ["ready", "scheduled", "retry", "blocked", "cur", "done", "dead", "hold"];

export default function overview(page) {
  let queue, stats, dead, problem, span = "hour", due = 0;

  async function load(all) {
    try {
      const parts = await Promise.all([get("queue", null, page.signal), all && get("stats", null, page.signal), all && get("dead", null, page.signal)]);
      queue = parts[0];
      stats = parts[1] || stats;
      dead = parts[2] || dead;
      problem = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error;
    }
    page.draw();
  }

  // Events only say that something changed; how often that leads to a question is bounded here.
  const soon = (all, after = 1_500) => {
    if (due) return;
    due = setTimeout(() => ((due = 0), page.signal.aborted || load(all)), after);
  };
  page.on("update", ({ change, job }) => {
    const running = queue?.active.find((one) => one.id === job.id);
    if (change === "progress" && running) {
      running.progress = job.progress;
      return page.draw();
    }
    soon(change === "buried" || change === "rejected" || change === "requeued" || change === "purged");
  });
  page.on("stats", (data) => {
    if (!queue) return;
    Object.assign(queue.counts, data.counts);
    if (data.active) queue.active = data.active;
    page.draw();
  });
  page.on("alert", () => soon(true, 200));
  page.on("reload", () => load(true));
  page.on("resumed", () => load(true));
  page.every(20_000, () => load(true));
  load(true);

  return () => {
    if (!queue) return h("div", { class: "overview" }, problem ? trouble(problem, () => load(true)) : loading(8));
    const state = health(queue, dead);
    page.title(state.problems.length ? `${state.problems.length === 1 ? "1 thing" : state.problems.length + " things"} to look at` : "All well");
    const wide = page.width() >= 940;
    return h("div", { class: "overview" },
      headline(state, queue),
      tiles(queue),
      h("div", { class: "split" },
        throughput(wide ? Math.round((page.width() - 48) * 0.66) : page.width()),
        figures()),
      h("div", { class: "split" }, runningNow(), waiting()));
  };

  function headline({ problems, calm }) {
    if (!problems.length) {
      return h("div", { class: "headline good" }, icon("done"), h("div", null, h("h1", null, "All well"), h("p", { class: "dim" }, calm)));
    }
    const worst = problems.some((one) => one.tone === "bad") ? "bad" : "warn";
    return h("div", { class: "headline " + worst }, icon("warn"),
      h("div", null,
        h("h1", { class: problems[0].text.length + (problems[0].more?.length ?? 0) > 64 ? "long" : "" }, line(problems[0])),
        problems.length > 1 && h("ul", null, problems.slice(1).map((one) => h("li", null, line(one)))),
        h("p", { class: "dim" }, calm)));
  }

  function line({ href, text, more, at }) {
    return [href ? h("a", { href }, text) : text, more && h("span", { class: "cause" }, ": ", more), at && h("span", { class: "at" }, when(at))];
  }

  function tiles({ counts }) {
    return h("ul", { class: "tiles", "aria-label": "Jobs by state" },
      TILES.map((name) =>
        h("li", { key: name },
          h("a", { class: "tile t-" + name + (counts[name] ? "" : " none"), href: link("jobs", { state: name }), title: plural(counts[name] ?? 0, "job") },
            h("span", { class: "tile-name" }, icon(name), STATES[name]),
            h("span", { class: "tile-count" }, count(counts[name] ?? 0))))));
  }

  function throughput(width) {
    const pick = (name, text) =>
      h("button", { class: "quiet", "aria-pressed": String(span === name), onclick: () => ((span = name), page.draw()) }, text);
    let body = loading(5);
    if (stats) {
      const hour = span === "hour";
      const points = hour
        ? stats.minutes.map(({ t, done, dead }) => {
            const date = new Date(t);
            return { label: clock(date), tick: date.getMinutes() % 15 ? null : clock(date), done, dead };
          })
        : stats.days.map(({ day, done, dead }) => {
            const date = new Date(day + "T12:00:00");
            return { label: day, tick: date.toLocaleDateString("en", { weekday: "short" }), done, dead };
          });
      const any = points.some((point) => point.done + point.dead);
      body = any ? stacked({ points, width, height: width > 600 ? 236 : 176, title: hour ? "Finished and failed jobs by minute" : "Finished and failed jobs by day", unit: hour ? "/min" : "/day" })
        : empty(hour ? "Nothing finished in the last hour." : "Nothing finished in the last 7 days.");
    }
    return section("Finished", h("div", { class: "switch", role: "group", "aria-label": "Time span" }, pick("hour", "Hour"), pick("week", "7 days")), body);
  }

  function figures() {
    const { oldest = {}, drain_s } = queue;
    const row = (name, ...cells) => h("tr", null, h("th", { scope: "row" }, name), cells.map((cell) => h("td", { class: "num" }, cell)));
    return section("Pace", null,
      h("table", { class: "figures" },
        h("thead", null, h("tr", null, h("td"), h("th", { scope: "col", class: "num" }, "median"), h("th", { scope: "col", class: "num" }, "95 %"))),
        h("tbody", null,
          row("Wait before a start", duration(stats?.wait.p50_s), duration(stats?.wait.p95_s)),
          row("Run", duration(stats?.run.p50_s), duration(stats?.run.p95_s)))),
      h("dl", { class: "facts" },
        fact("Today", stats ? [count(stats.today.done), " done, ", h("span", { class: stats.today.dead ? "t-dead" : "" }, count(stats.today.dead)), " dead"] : "–"),
        fact("Success", percent(stats?.success_rate)),
        fact("Oldest ready", oldest.ready_s === undefined || oldest.ready_s === null ? "none waits" : duration(oldest.ready_s)),
        fact("Empty in", drain_s === undefined || drain_s === null ? (queue.counts.ready ? "not foreseeable" : "nothing waits") : "about " + duration(drain_s)),
        queue.limits?.max_jobs && fact("Slots", `${queue.limits.max_jobs.used} of ${queue.limits.max_jobs.limit}`)));
  }

  function runningNow() {
    const { active } = queue;
    return section(["Running ", h("span", { class: "dim" }, exactCount(queue.counts.cur))], null,
      !active.length ? empty("Nothing is running.", queue.counts.ready ? "Jobs wait; open one to see why." : null) :
      h("ul", { class: "running" }, active.slice(0, 12).map((job) =>
        h("li", { key: job.id },
          h("a", { href: jobLink(job.id), title: job.id },
            h("span", { class: "run-type" }, job.type),
            h("span", { class: "run-meta dim" }, job.progress?.stage && [h("span", { class: "stage" }, job.progress.stage), " "], job.progress?.message ?? (job.meta ? meta(job, 2) : shortId(job.id))),
            h("span", { class: "run-percent num" }, job.progress?.percent === undefined || job.progress?.percent === null ? "" : Math.round(job.progress.percent) + " %"),
            h("span", { class: "run-time num" }, since(job.started_at)),
            progress(job.progress?.percent, "Progress of " + job.type))))),
      active.length > 12 && h("p", null, h("a", { href: link("jobs", { state: "cur" }) }, `All ${exactCount(queue.counts.cur)}`)));
  }

  function waiting() {
    const shape = stats?.shape;
    return section("Waiting, by type and age", null,
      !stats ? loading(4) : shape?.rows.length
        ? heat({ columns: shape.columns, rows: shape.rows, href: (type) => link("jobs", { state: "new", type }) })
        : empty("Nothing is waiting."));
  }
}

const fact = (name, value) => [h("dt", null, name), h("dd", null, value)];
