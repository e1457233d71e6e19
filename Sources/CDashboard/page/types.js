// The types of job: what runs them, how much of each limit is used, how they have been doing; pause and resume.

import { get, may, post } from "./api.js";
import { spark } from "./charts.js";
import { h } from "./dom.js";
import { count, duration, percent, when } from "./format.js";
import { icon } from "./icons.js";
import { link } from "./route.js";
import { ask, empty, failed, keepsItsMeaning, loading, toast, trouble } from "./ui.js";

export default function types(page) {
  let data, queue, problem, due = 0;
  async function load() {
    try {
      [data, queue] = await Promise.all([get("types", null, page.signal), get("queue", null, page.signal)]);
      problem = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error;
    }
    page.draw();
  }
  page.on("update", ({ change }) => {
    if (change !== "progress" && change !== "stage" && !due) due = setTimeout(() => ((due = 0), page.signal.aborted || load()), 2_000);
  });
  page.on("reload", load);
  page.every(15_000, load);
  load();

  async function set(type, verb) {
    if (type === "all" && verb === "pause" && !(await ask({ title: "Pause the whole queue?", yes: "Pause everything", body: h("p", null, "Jobs are accepted and wait. What runs goes on to its end. Resume is here, too.") }))) return;
    try {
      await post(`types/${encodeURIComponent(type)}/${verb}`);
      const name = type === "all" ? "Everything" : type;
      toast(`${name} ${verb === "pause" ? "is paused" : "goes on"}`, {
        undo: verb === "pause" ? { text: "Resume", action: () => set(type, "resume") } : { text: "Pause", action: () => set(type, "pause") },
      });
      load();
    } catch (error) {
      failed(error);
    }
  }

  return () => {
    const paused = queue?.paused?.all;
    return h("div", null,
      h("header", { class: "page-head" }, h("h1", null, "Types"),
        may("operate") && queue && h("button", { onclick: () => set("all", paused ? "resume" : "pause") }, icon(paused ? "cur" : "hold"), paused ? "Resume the queue" : "Pause the queue")),
      !data ? (problem ? trouble(problem, load) : loading(8)) : [
        problem && trouble(problem, load),
        paused && h("div", { class: "standing t-retry" }, h("p", null, h("strong", null, "The whole queue is paused."), " Jobs are accepted and wait.")),
        limits(),
        data.types.length ? table() : empty("No handlers.", "A type is a file in handlers/; ", h("code", null, "jobspool init"), " writes one to begin with."),
      ]);
  };

  function limits() {
    const { max_jobs: all, pools = [] } = queue?.limits ?? {};
    const one = (name, { limit, used }) => h("li", { key: name }, h("span", null, name), h("span", { class: "num" }, `${used} of ${limit}`), meter(used, limit, name));
    return h("ul", { class: "limits" }, all && one("All jobs", all), pools.map((pool) => one("Pool " + pool.name, pool)));
  }

  function table() {
    const head = ["Type", ["Running", "num"], ["Waiting", "num"], ["Success", "num"], ["Median", "num"], ["95 %", "num"], "24 hours", "Limits", ""];
    return h("div", { class: "scroll" }, keepsItsMeaning(h("table", { class: "types stack" },
      h("thead", null, h("tr", null, head.map((name) => h("th", { scope: "col", class: Array.isArray(name) ? name[1] : "" }, Array.isArray(name) ? name[0] : name)))),
      h("tbody", null, data.types.filter(isOfInterest).map(row)))));
  }

  /** The reserved type of notices is everywhere, and where there are none it says nothing. */
  function isOfInterest(one) {
    return one.type !== "jobspool.notify" || one.running || one.waiting || typeof one.success_rate === "number";
  }

  function row(one) {
    const cell = (label, style, ...children) => h("td", { class: style, "data-label": label }, children);
    return h("tr", { key: one.type, class: one.problem ? "broken" : one.paused ? "paused" : "" },
      h("th", { scope: "row" },
        h("a", { href: link("jobs", { type: one.type }) }, one.type), h("span", { class: "mode dim" }, " " + (one.mode ?? "")),
        one.paused && h("p", { class: "t-retry" }, icon("hold"), "paused", one.paused_by && ` by ${one.paused_by} `, one.paused_since && when(one.paused_since)),
        one.circuit && one.circuit !== "closed" && h("p", { class: "t-retry" }, icon("warn"), one.circuit === "open" ? "circuit open: it failed on end and is slowed" : "circuit half open: probing"),
        one.problem && h("p", { class: "t-dead" }, icon("warn"), one.problem)),
      cell("Running", "num", h("span", { class: "use" }, `${one.running}`, h("span", { class: "dim" }, ` / ${one.concurrency ?? "–"}`), meter(one.running, one.concurrency, one.type + " running"))),
      cell("Waiting", "num", one.waiting ? h("a", { href: link("jobs", { type: one.type, state: "new" }) }, count(one.waiting)) : h("span", { class: "dim" }, "0")),
      cell("Success", "num", percent(one.success_rate)),
      cell("Median", "num", duration(one.run_p50_s)),
      cell("95 %", "num", duration(one.run_p95_s)),
      cell("24 hours", "", one.sparkline ? spark(one.sparkline, { label: "Mean run by hour", format: duration }) : "–"),
      cell("Limits", "dim limits-cell", [one.pool && `pool ${one.pool}`, one.rate && rate(one.rate), one.timeout_s && `stops after ${duration(one.timeout_s)}`, one.max_attempts && `${one.max_attempts} attempts`].filter(Boolean).join(", ")),
      h("td", { class: "act" }, may("operate") && h("button", { onclick: () => set(one.type, one.paused ? "resume" : "pause"), "aria-label": `${one.paused ? "Resume" : "Pause"} ${one.type}` }, one.paused ? "Resume" : "Pause")));
  }

  function rate(one) {
    return typeof one === "string" ? one : `${one.limit} per ${duration(one.per_s)}${one.by ? " by " + one.by : ""}`;
  }
}

function meter(used, limit, label) {
  const element = h("meter", { min: 0, max: limit || 1, "aria-label": label });
  element.setAttribute("value", used ?? 0);
  return element;
}
