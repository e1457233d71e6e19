// The machine below: the programs, disk and memory, the audit log's head, who is connected, what is wrong in the
// configuration.

import { get } from "./api.js";
import { h } from "./dom.js";
import { bytes, percent, plural, since, when } from "./format.js";
import { icon } from "./icons.js";
import { loading, section, trouble } from "./ui.js";

const row = (name, ...value) => [h("dt", null, name), h("dd", null, value)];

export default function system(page) {
  let data, queue, stats, problem;
  async function load() {
    try {
      [data, queue, stats] = await Promise.all([get("system", null, page.signal).catch((error) => (error.status === 404 ? {} : Promise.reject(error))), get("queue", null, page.signal), get("stats", null, page.signal)]);
      problem = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error;
    }
    page.draw();
  }
  page.on("reload", load);
  page.on("alert", load);
  page.every(15_000, load);
  load();

  return () => h("div", null,
    h("header", { class: "page-head" }, h("h1", null, "System"), data && h("p", { class: "dim" }, data.node ?? queue.daemon?.node)),
    !data ? (problem ? trouble(problem, load) : loading(8)) : [problem && trouble(problem, load), troubles(), h("div", { class: "columns" }, h("div", null, programs(), machine()), h("div", null, auditLog(), clients(), rest()))]);

  function troubles() {
    const alerts = queue.alerts ?? [];
    const problems = (data.problems ?? data.configuration_problems ?? []).map((one) => (typeof one === "string" ? { message: one } : one));
    const shown = [...alerts, ...problems.filter((one) => !alerts.some((alert) => alert.message === one.message))];
    return section("Needs attention", null,
      !shown.length ? h("p", { class: "good-line t-done" }, icon("done"), "Nothing. The configuration is sound and no alert is raised.")
      : h("ul", { class: "alerts" }, shown.map((one) => h("li", null, icon("warn"), h("span", null, one.message ?? one.detail ?? JSON.stringify(one), one.code && h("code", null, one.code)), one.since && when(one.since)))));
  }

  function programs() {
    const { daemon = {} } = queue;
    return section("Programs", null, h("dl", { class: "facts" },
      row("jobspoold", daemon.running ? h("span", { class: "badge t-done" }, icon("done"), "running") : h("span", { class: "badge t-dead" }, icon("dead"), "not running"), daemon.version && h("span", { class: "dim" }, ` ${daemon.version}`)),
      daemon.pid && row("Process", String(daemon.pid)),
      daemon.started_at && row("Up for", since(daemon.started_at)),
      data.spool && row("Spool", h("code", { class: "wrap" }, data.spool)),
      row("jobspool-web", data.web?.version ?? data.version ?? "–", data.web?.pid && h("span", { class: "dim" }, ` process ${data.web.pid}`))));
  }

  function machine() {
    const now = stats.system ?? data.system ?? {};
    const free = now.disk_free_bytes ?? data.disk?.free_bytes, all = now.disk_total_bytes ?? data.disk?.total_bytes;
    const used = all ? 1 - free / all : null;
    const gauge = (part, label) => {
      const element = h("meter", { min: 0, max: 1, high: 0.9, "aria-label": label });
      element.setAttribute("value", part ?? 0);
      return element;
    };
    return section("Machine", null, h("dl", { class: "facts" },
      row("Disk", used === null ? "–" : [gauge(used, "Disk used"), ` ${bytes(free)} free of ${bytes(all)}`]),
      row("CPU", now.cpu === undefined || now.cpu === null ? "–" : [gauge(now.cpu, "CPU in use"), " ", percent(now.cpu, 0)]),
      row("Load", now.load1 === undefined || now.load1 === null ? "–" : now.load1.toFixed(2)),
      row("Memory", now.memory_bytes === undefined ? "–" : now.memory_total_bytes ? [gauge(now.memory_bytes / now.memory_total_bytes, "Memory in use"), ` ${bytes(now.memory_bytes)} of ${bytes(now.memory_total_bytes)}`] : bytes(now.memory_bytes))));
  }

  function auditLog() {
    const { audit } = data;
    if (!audit) return null;
    return section("Audit log", null, h("dl", { class: "facts" },
      Object.entries(audit).map(([name, value]) => row(name.replace(/_/g, " "), /^\d{4}-\d\d-\d\dT/.test(value) ? when(value) : h("code", { class: "wrap" }, typeof value === "object" ? JSON.stringify(value) : String(value))))),
      h("p", { class: "dim" }, h("code", null, "jobspool audit verify"), " checks the chain from the first line to this one."));
  }

  function clients() {
    const { clients: list } = data;
    if (list === undefined || list === null) return null;
    if (typeof list === "number") return section("Connected", null, h("p", null, plural(list, "live connection")));
    if (!Array.isArray(list)) return section("Connected", null, h("p", null, typeof list === "object" ? JSON.stringify(list) : String(list)));
    return section(["Connected ", h("span", { class: "dim" }, list.length)], null,
      h("table", { class: "audit" }, h("tbody", null, list.map((one) => h("tr", null, h("td", null, h("strong", null, one.subject ?? "no name")), h("td", { class: "dim" }, [one.role, one.address].filter(Boolean).join(" · ")), h("td", { class: "num" }, one.since && since(one.since)))))));
  }

  /** Whatever else the server tells, so that nothing it knows is kept from the reader. */
  function rest() {
    const known = new Set(["node", "version", "web", "daemon", "disk", "memory", "audit", "clients", "problems", "configuration_problems", "alerts", "system", "spool"]);
    const more = Object.entries(data).filter(([name, value]) => !known.has(name) && value !== null);
    return more.length > 0 && section("More", null, h("dl", { class: "facts" }, more.map(([name, value]) => row(name.replace(/_/g, " "), h("span", { class: "wrap" }, typeof value === "object" ? JSON.stringify(value) : String(value))))));
  }
}
