// What runs by the clock: next and last, the last thirty runs as dots, run now, switch on and off.

import { get, may, post } from "./api.js";
import { h, s } from "./dom.js";
import { duration, exact, plural, when } from "./format.js";
import { badge, icon } from "./icons.js";
import { jobLink, link } from "./route.js";
import { empty, failed, keepsItsMeaning, loading, toast, trouble } from "./ui.js";

const RESULTS = { done: "done", dead: "dead", running: "cur", skipped: "hold", missed: "retry", waiting: "ready", cur: "cur", new: "ready" };
const WORDS = { done: "Done", dead: "Failed", running: "Running", skipped: "Skipped", missed: "Missed", waiting: "Waiting", cur: "Running", new: "Waiting" };

export default function schedules(page) {
  let data, problem, due = 0;
  const runs = new Map();
  async function load() {
    try {
      data = await get("schedules", null, page.signal);
      problem = null;
      page.draw();
      // The dots come afterwards, a few requests at a time.
      const names = data.schedules.slice(0, 60).map((one) => one.name);
      const next = async () => {
        for (let name = names.shift(); name !== undefined; name = names.shift()) {
          runs.set(name, (await get(`schedules/${encodeURIComponent(name)}/runs`, null, page.signal)).runs);
          page.draw();
        }
      };
      await Promise.all([next(), next(), next()]);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (data) return failed(error);
      problem = error;
    }
    page.draw();
  }
  const soon = (after) => {
    if (!due) due = setTimeout(() => ((due = 0), page.signal.aborted || load()), after);
  };
  // A firing's id begins with the name of its schedule.
  page.on("update", ({ change, job }) => {
    if (change !== "progress" && change !== "stage" && data?.schedules.some((one) => job.id.startsWith(one.name + "."))) soon(700);
  });
  page.on("reload", load);
  page.every(30_000, load);
  load();

  async function run(name) {
    try {
      const { id } = await post(`schedules/${encodeURIComponent(name)}/run`);
      toast(`${name} runs now`, { link: id && { href: jobLink(id), text: "Show the job" } });
      soon(400);
    } catch (error) {
      failed(error);
    }
  }

  async function set(one) {
    const verb = one.enabled ? "disable" : "enable";
    one.enabled = !one.enabled;
    page.draw();
    try {
      await post(`schedules/${encodeURIComponent(one.name)}/${verb}`);
      toast(`${one.name} is ${one.enabled ? "on" : "off"}`);
    } catch (error) {
      one.enabled = !one.enabled;
      failed(error);
    }
    load();
  }

  return () => h("div", null,
    h("header", { class: "page-head" }, h("h1", null, "Schedules"),
      data && h("p", { class: "dim" }, `${plural(data.total ?? data.schedules.length, "schedule")}, ${data.enabled} on, ${data.running} running`)),
    !data ? (problem ? trouble(problem, load) : loading(6)) : [
      data.paused && h("div", { class: "standing t-retry" }, h("p", null, h("strong", null, "All schedules are paused."), " ", h("code", null, "jobspool resume --schedules"), " lets them go on.")),
      data.schedules.length ? table() : empty("No schedules.", "A schedule is a file in schedules/ with a cron expression."),
    ]);

  function table() {
    const head = ["On", "Schedule", "When", "Next", "Last", "Last 30 runs", ""];
    return h("div", { class: "scroll" }, keepsItsMeaning(h("table", { class: "schedules stack" },
      h("thead", null, h("tr", null, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", null, data.schedules.map(row)))));
  }

  function row(one) {
    const cell = (label, style, ...children) => h("td", { class: style, "data-label": label }, children);
    return h("tr", { key: one.name, class: one.enabled ? "" : "off" },
      h("td", { class: "check" }, h("input", { type: "checkbox", role: "switch", class: "switch-box", checked: one.enabled, disabled: !may("operate"), "aria-label": `${one.name} is on`, onchange: () => set(one) })),
      h("th", { scope: "row" }, h("a", { href: link("jobs", { schedule: one.name }) }, one.name), one.running && h("span", { class: "badge t-cur" }, icon("cur"), "running"), h("p", { class: "dim" }, one.description ?? one.type), one.problem && h("p", { class: "t-dead error" }, one.problem)),
      cell("When", "cron", h("code", null, one.cron), h("p", { class: "dim" }, one.timezone)),
      cell("Next", "", one.enabled && one.next_at ? when(one.next_at) : h("span", { class: "dim" }, "–")),
      cell("Last", "", one.last_result ? h("span", { class: "badge t-" + (RESULTS[one.last_result] ?? "ready") }, icon(RESULTS[one.last_result] ?? "ready"), WORDS[one.last_result] ?? one.last_result) : h("span", { class: "dim" }, "never"),
        one.last_at && [" ", one.last_job ? h("a", { class: "plain", href: jobLink(one.last_job) }, when(one.last_at)) : when(one.last_at)]),
      cell("Last 30 runs", "", dots(one.name)),
      h("td", { class: "act" }, may("operate") && h("button", { onclick: () => run(one.name), "aria-label": `Run ${one.name} now` }, "Run now")));
  }

  /** Oldest first, as on any time axis; a failure is a square, so it is seen without its colour. */
  function dots(name) {
    const list = runs.get(name);
    if (!list) return h("span", { class: "dim" }, "…");
    if (!list.length) return h("span", { class: "dim" }, "none");
    const shown = list.slice(0, 30).reverse();
    const failures = shown.filter((one) => one.state === "dead").length;
    return h("span", { class: "dots" },
      s("svg", { width: shown.length * 8, height: 14, viewBox: `0 0 ${shown.length * 8} 14`, role: "img", "aria-label": `${plural(shown.length, "run")}, ${failures} failed` },
        shown.map((one, index) => {
          const x = index * 8 + 4;
          const took = one.finished_at && one.started_at ? `, ${duration((Date.parse(one.finished_at) - Date.parse(one.started_at)) / 1000)}` : "";
          const title = s("title", null, `${exact(new Date(one.tick ?? one.started_at))}: ${(WORDS[one.state] ?? one.state).toLowerCase()}${took}${one.error?.message ? ": " + one.error.message : ""}`);
          const shape = one.state === "dead" ? s("rect", { class: "f-dead", x: x - 3, y: 3.5, width: 6, height: 7 }, title)
            : s("circle", { class: one.state === "done" ? "f-done" : one.state === "cur" || one.state === "running" ? "f-cur" : "f-none", cx: x, cy: 7, r: one.state === "done" ? 3 : 2.5 }, title);
          return one.id ? s("a", { href: jobLink(one.id), tabindex: -1 }, shape) : shape;
        })));
  }
}
