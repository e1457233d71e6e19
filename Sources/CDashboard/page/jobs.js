// The list of jobs: what is asked for lives in the address, rows change in place as jobs move, and new ones wait behind
// "23 new" while somebody is reading further down.

import { act, actOnMany, fits, NAMES } from "./actions.js";
import { get, may } from "./api.js";
import { h } from "./dom.js";
import { count, duration, exactCount, plural, shortId, since, typeOf, when } from "./format.js";
import { badge, icon, phaseOf, STATES } from "./icons.js";
import { go, jobLink, link, replace } from "./route.js";
import { empty, failed, keepsItsMeaning, loading, meta, progress, trouble } from "./ui.js";

const FILTERS = ["state", "type", "tag", "q", "batch", "parent", "schedule", "submitted_by", "error_group", "since", "from", "to"];
const SPANS = { "15m": ["15 minutes", 900], "1h": ["hour", 3600], "24h": ["24 hours", 86_400], "7d": ["7 days", 604_800], "30d": ["30 days", 2_592_000] };
const RAIL = [["new", "ready", "scheduled", "retry", "blocked"], ["cur"], ["done"], ["dead", "failed", "cancelled", "rejected", "expired"], ["hold"]];
const WORDS = { ...STATES, failed: "Failed", cancelled: "Cancelled", rejected: "Rejected", expired: "Expired" };
const PAGE = 50;
const MOST_FRESH = 999;

export default function jobs(page) {
  let rows = [], next, total, complete = true, problem, busy = true, loaded = false;
  let queue, types = [];
  let selected = new Set(), all = false, cursor = -1, railOpen = false, typing, typed = null;
  const fresh = new Map();
  const query = () => page.route.query;
  const filterOf = () => Object.fromEntries(FILTERS.map((name) => [name, query().getAll(name)]).filter(([, values]) => values.length));

  /** What the server is asked: "the last hour" becomes a time only now. */
  function asked(extra) {
    const { since: span, ...filter } = filterOf();
    if (SPANS[span]) filter.from = new Date(Date.now() - SPANS[span][1] * 1000).toISOString();
    return { ...filter, ...extra };
  }

  async function load({ more, quiet } = {}) {
    const route = page.route;
    busy = !quiet;
    if (busy) page.draw();
    try {
      const answer = await get("jobs", asked({ sort: query().get("sort") ?? "submitted", order: query().get("order"), limit: PAGE, cursor: more ? next : null }), page.signal);
      if (route !== page.route) return;
      const known = new Set(rows.map((row) => row.id));
      rows = more ? [...rows, ...answer.jobs.filter((row) => !known.has(row.id))] : answer.jobs;
      if (!more) fresh.clear();
      ({ next, total, complete = true } = answer);
      problem = null;
      loaded = true;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error;
    }
    busy = false;
    page.draw();
  }

  async function loadRail() {
    try {
      const answers = await Promise.all([get("queue", null, page.signal), get("types", null, page.signal)]);
      queue = answers[0];
      types = answers[1].types;
      page.draw();
    } catch (error) {
      failed(error);
    }
  }

  /** Another filter in the same view. */
  page.moved = () => {
    // Unless it was typed there, what the box holds is no longer what is asked for.
    const box = document.getElementById("search");
    if (box && (query().get("q") ?? "") !== typed) box.value = query().get("q") ?? "";
    selected = new Set();
    all = false;
    cursor = -1;
    railOpen = false;
    scrollTo(0, 0);
    load();
  };

  function change(values, quietly) {
    const search = new URLSearchParams(query());
    for (const [name, value] of Object.entries(values)) {
      search.delete(name);
      for (const one of [value].flat()) if (one) search.append(name, one);
    }
    (quietly ? replace : go)(link("jobs", search));
  }

  // Live

  const has = (name, test) => {
    const values = query().getAll(name);
    return !values.length || values.some(test);
  };
  function matches(job) {
    const text = () => [job.id, job.type ?? "", ...(job.tags ?? []), JSON.stringify(job.meta ?? {}), job.error?.message ?? ""].join("\n").toLowerCase();
    return has("state", (value) => value === job.state || value === phaseOf(job) || value === job.outcome) && has("type", (value) => value === job.type) &&
      query().getAll("tag").every((value) => job.tags?.includes(value)) && has("batch", (value) => value === job.batch) && has("parent", (value) => value === job.parent) &&
      has("q", (value) => text().includes(value.toLowerCase())) && !["error_group", "schedule", "to", "submitted_by"].some((name) => query().has(name));
  }
  const newestFirst = () => (query().get("sort") ?? "submitted") === "submitted" && query().get("order") !== "asc";

  page.on("update", ({ change: what, job }) => {
    if (!loaded) return;
    const index = rows.findIndex((row) => row.id === job.id);
    if (index >= 0) {
      if (what === "purged") rows[index] = { ...rows[index], gone: true };
      else rows[index] = { ...job, left: !matches(job) };
    } else if (fresh.has(job.id)) {
      if (matches(job)) fresh.set(job.id, job);
      else fresh.delete(job.id);
    } else if (what !== "progress" && what !== "purged" && matches(job)) {
      // Somebody may read for hours while thousands arrive: beyond this only their number would matter, and it no longer does.
      if (fresh.size < MOST_FRESH) fresh.set(job.id, job);
    }
    page.draw();
  });
  page.on("stats", (data) => {
    if (queue) Object.assign(queue.counts, data.counts);
    page.draw();
  });
  page.on("reload", () => atTop() && load({ quiet: true }));
  page.every(30_000, loadRail);

  const atTop = () => scrollY < 40 && !selected.size && cursor < 1;
  function reveal() {
    if (!newestFirst() || fresh.size >= MOST_FRESH) return load({ quiet: true });
    // An old job may come into view by a change of its state; it takes its place, or none when that is on a page not shown.
    const oldest = next ? rows.at(-1)?.submitted_at ?? "" : "";
    const added = [...fresh.values()].filter((job) => job.submitted_at >= oldest);
    const at = rows[cursor]?.id;
    total = (total ?? 0) + fresh.size;
    rows = [...added, ...rows].sort((a, b) => (a.submitted_at < b.submitted_at ? 1 : a.submitted_at > b.submitted_at ? -1 : 0)).slice(0, Math.max(PAGE * 2, rows.length));
    if (at) cursor = rows.findIndex((row) => row.id === at);
    fresh.clear();
  }
  function showFresh() {
    reveal();
    scrollTo({ top: 0 });
    page.draw();
  }

  // Acting

  const chosen = () => (selected.size ? rows.filter((row) => selected.has(row.id)) : cursor >= 0 ? [rows[cursor]] : []);
  async function run(verb) {
    const target = chosen();
    let did;
    if (all) {
      const { since: span, ...filter } = asked({});
      did = await actOnMany(verb, { filter });
    } else if (selected.size) did = await actOnMany(verb, { ids: rows.filter((row) => selected.has(row.id) && fits(verb, row)).map((row) => row.id) });
    else if (target[0]) return act(verb, target[0]);
    if (did) {
      selected = new Set();
      all = false;
      load({ quiet: true });
      loadRail();
    }
  }

  function move(step) {
    if (!rows.length) return;
    cursor = Math.max(0, Math.min(rows.length - 1, cursor + step));
    page.draw();
    setTimeout(() => {
      const row = document.querySelectorAll(".jobs tbody tr")[cursor];
      row?.querySelector("a")?.focus({ preventScroll: true });
      row?.scrollIntoView({ block: "nearest" });
    }, 140);
  }
  page.keys = {
    j: () => move(1), k: () => move(-1),
    Enter: () => rows[cursor] && go(jobLink(rows[cursor].id)),
    x: () => rows[cursor] && toggle(rows[cursor].id),
    a: () => everything(),
    r: () => run("requeue"), c: () => run("cancel"),
    h: () => run(chosen()[0]?.state === "hold" ? "release" : "hold"),
    Escape: () => ((selected = new Set()), (all = false), page.draw()),
  };

  function toggle(id) {
    if (!selected.delete(id)) selected.add(id);
    all = false;
    page.draw();
  }
  function everything() {
    selected = new Set(rows.map((row) => row.id));
    all = (total ?? rows.length) > rows.length;
    page.draw();
  }

  load();
  loadRail();

  return () => {
    // Once a drawing, not once an event.
    if (fresh.size && fresh.size < MOST_FRESH && atTop() && newestFirst()) reveal();
    page.title([query().getAll("state").map((name) => WORDS[name] ?? name).join(", "), "Jobs"].filter(Boolean).join(" · "));
    return h("div", { class: "jobs-page" }, rail(), h("div", { class: "jobs" }, toolbar(), chips(), list()), actions());
  };

  function rail() {
    const states = query().getAll("state");
    const counts = { ...queue?.outcomes, ...queue?.counts };
    const state = (name, inner) =>
      h("li", { class: inner ? "inner" : "" },
        h("a", { href: link("jobs", withOnly("state", name)), "aria-current": states.includes(name) ? "true" : null, class: "t-" + name, onclick: several("state", name) },
          inner ? null : icon(name === "new" ? "ready" : name), h("span", { class: "name" }, WORDS[name] ?? name), h("span", { class: "num" }, counts[name] === undefined ? "" : count(counts[name]))));
    const type = ({ type: name, running, waiting }) =>
      h("li", { key: name },
        h("a", { href: link("jobs", withOnly("type", name)), "aria-current": query().getAll("type").includes(name) ? "true" : null, onclick: several("type", name) },
          h("span", { class: "name" }, name), h("span", { class: "num", title: "waiting and running" }, running + waiting ? count(running + waiting) : "")));
    const span = query().get("since") ?? "";
    return h("aside", { class: "rail" + (railOpen ? " open" : ""), "aria-label": "Filter" },
      h("button", { class: "rail-toggle", "aria-expanded": String(railOpen), onclick: () => ((railOpen = !railOpen), page.draw()) }, "Filter", h("span", { class: "dim" }, summary())),
      h("div", { class: "rail-body" },
        h("h2", null, "State"),
        h("ul", null, RAIL.map(([outer, ...inner]) => [state(outer), inner.filter((name) => counts[name] || states.includes(name)).map((name) => state(name, true))])),
        h("h2", null, "Type"),
        types.length ? h("ul", null, types.slice(0, 14).map(type)) : h("p", { class: "dim" }, queue ? "No handlers." : "…"),
        types.length > 14 && h("select", { "aria-label": "More types", value: "", onchange: ({ target }) => change({ type: target.value }) }, h("option", { value: "" }, `${types.length - 14} more …`), types.slice(14).map((one) => h("option", { value: one.type }, one.type))),
        h("h2", null, h("label", { for: "since" }, "Submitted")),
        h("select", { id: "since", value: span, onchange: ({ target }) => change({ since: target.value, from: "", to: "" }) },
          h("option", { value: "" }, "At any time"), Object.entries(SPANS).map(([value, [name]]) => h("option", { value }, "In the last " + name))),
        h("h2", null, h("label", { for: "tag" }, "Tag")),
        h("input", { id: "tag", value: query().getAll("tag").join(" "), placeholder: "any", spellcheck: "false", onchange: ({ target }) => change({ tag: target.value.split(/[\s,]+/) }) })));
  }

  function summary() {
    const parts = [...query().getAll("state").map((name) => WORDS[name] ?? name), ...query().getAll("type"), ...query().getAll("tag")];
    return parts.length ? parts.join(", ") : "everything";
  }

  /** The address with this value alone; without it when it was already alone. */
  function withOnly(name, value) {
    const search = new URLSearchParams(query());
    const was = search.getAll(name);
    search.delete(name);
    if (was.length !== 1 || was[0] !== value) search.set(name, value);
    return search;
  }
  /** With Ctrl or Shift a value is added to the others. */
  function several(name, value) {
    return (event) => {
      if (!(event.ctrlKey || event.metaKey || event.shiftKey)) return;
      event.preventDefault();
      const values = new Set(query().getAll(name));
      if (!values.delete(value)) values.add(value);
      change({ [name]: [...values] });
    };
  }

  function toolbar() {
    const wait = ({ target }) => {
      clearTimeout(typing);
      typing = setTimeout(() => search(target.value), 250);
    };
    return h("form", { class: "toolbar", role: "search", onsubmit: (event) => (event.preventDefault(), clearTimeout(typing), search(event.target.elements.search.value, true)) },
      h("label", { class: "search" }, icon("search"), h("span", { class: "sr" }, "Search"),
        h("input", { id: "search", name: "search", type: "search", value: query().get("q") ?? "", placeholder: "Id, tag, meta, error … or type:send-email", autocomplete: "off", spellcheck: "false", oninput: wait }),
        h("kbd", null, "/")),
      h("span", { class: "total", role: "status" }, loaded && !problem ? [h("strong", null, exactCount(total)), ` ${total === 1 ? "job" : "jobs"}`, !complete && h("span", { class: "dim", title: "The search stopped at its limit." }, " at least")] : ""));
  }

  /** Words like `type:x` become filters; a whole id opens its job. */
  function search(text, entered) {
    if (entered && /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text.trim())) return go(jobLink(text.trim()));
    const found = {};
    const rest = text.replace(/(?:^|\s)(state|type|tag|batch|parent|schedule|id):(\S+)(?=\s|$)/g, (word, name, value) => {
      if (!entered) return word;
      if (name === "id") return " " + value;
      (found[name] ??= []).push(value);
      return "";
    });
    if (!entered && /(?:^|\s)(state|type|tag|batch|parent|schedule):/.test(text)) return;
    if (entered) document.activeElement?.blur();
    typed = rest.trim();
    change({ ...found, q: rest.trim() }, !Object.keys(found).length);
  }

  function chips() {
    const one = (name, text) => query().has(name) && h("li", null, text ?? `${name} ${query().getAll(name).join(", ")}`,
      h("button", { class: "quiet icon-only", "aria-label": "Without this filter", onclick: () => change({ [name]: "" }) }, icon("close")));
    const shown = [one("batch"), one("parent", `children of ${shortId(query().get("parent") ?? "")}`), one("schedule"), one("submitted_by"), one("error_group", "one error"),
      one("from", `from ${query().get("from")}`), one("to", `until ${query().get("to")}`), one("state", summaryOf("state")), one("type", summaryOf("type")), one("tag"), one("since", SPANS[query().get("since")] && `last ${SPANS[query().get("since")][0]}`), one("q", `“${query().get("q")}”`)].filter(Boolean);
    return shown.length > 0 && h("ul", { class: "chips", "aria-label": "Filters" }, shown, shown.length > 1 && h("li", { class: "bare" }, h("a", { href: link("jobs") }, "Clear all")));
  }
  function summaryOf(name) {
    return query().getAll(name).map((value) => (name === "state" ? WORDS[value] ?? value : value)).join(" or ");
  }

  function list() {
    if (problem && !rows.length) return trouble(problem, () => load());
    if (!loaded) return loading(12);
    const filtered = FILTERS.some((name) => query().has(name));
    if (!rows.length && !fresh.size) {
      return filtered ? empty("No job matches.", h("a", { href: link("jobs") }, "Show all jobs")) :
        empty("No job yet.", "Submit one: ", h("code", null, "jobspool submit TYPE"), " or ", h("a", { href: link("submit") }, "by form"), ".");
    }
    return [
      problem && trouble(problem, () => load()),
      fresh.size > 0 && h("button", { class: "pill", onclick: showFresh }, `${exactCount(fresh.size)}${fresh.size < MOST_FRESH ? "" : "+"} new`),
      keepsItsMeaning(h("table", { class: "list" + (busy ? " busy" : ""), "aria-busy": String(busy) },
        h("thead", null, h("tr", null,
          may("operate") && h("th", { class: "check" }, h("input", { type: "checkbox", "aria-label": "Select all on this page", checked: selected.size > 0 && selected.size >= rows.length, onchange: ({ target }) => ((selected = new Set(target.checked ? rows.map((row) => row.id) : [])), (all = false), page.draw()) })),
          head("state", "State"), h("th", { scope: "col" }, "Job"), h("th", { scope: "col", class: "what" }, "About"), head("priority", "Prio", "num prio"), h("th", { scope: "col", class: "num try", title: "Attempt" }, "Try"), head("duration", "Took", "num took"), head("submitted", "Submitted", "num age"))),
        h("tbody", null, rows.map(row)))),
      next && h("button", { class: "more", onclick: () => load({ more: true }), disabled: busy }, `Show ${PAGE} more`),
    ];
  }

  function head(sort, name, style) {
    const active = (query().get("sort") ?? "submitted") === sort;
    const up = query().get("order") === "asc";
    return h("th", { scope: "col", class: style, "aria-sort": active ? (up ? "ascending" : "descending") : null },
      h("button", { class: "sort", onclick: () => change({ sort: sort === "submitted" ? "" : sort, order: active && !up ? "asc" : "" }) }, name, h("span", { "aria-hidden": "true" }, active ? (up ? " ↑" : " ↓") : "")));
  }

  function row(job, index) {
    const running = job.state === "cur";
    const phase = phaseOf(job);
    return h("tr", { key: job.id, class: (job.left ? "left " : "") + (job.gone ? "gone " : "") + (index === cursor ? "at " : "") + (selected.has(job.id) ? "chosen" : ""), title: job.left ? "It no longer matches the filter." : null, onclick: (event) => clicked(event, job) },
      may("operate") && h("td", { class: "check" }, h("input", { type: "checkbox", "aria-label": `Select ${typeOf(job)} ${job.id}`, checked: selected.has(job.id), onchange: () => toggle(job.id) })),
      h("td", { class: "state" }, badge(job)),
      h("td", { class: "job" }, h("a", { href: jobLink(job.id), title: job.id }, h("span", { class: "type" }, typeOf(job)), " ", h("code", null, shortId(job.id)))),
      h("td", { class: "what" }, about(job, running, phase)),
      h("td", { class: "num prio" }, job.priority === 5 ? h("span", { class: "dim" }, "5") : job.priority),
      h("td", { class: "num try" }, job.attempt > 1 ? job.attempt : h("span", { class: "dim" }, job.attempt || "–")),
      h("td", { class: "num took" }, running ? since(job.started_at) : job.run_s === undefined ? h("span", { class: "dim" }, "–") : duration(job.run_s)),
      h("td", { class: "num age" }, when(job.submitted_at)));
  }

  function about(job, running, phase) {
    if (running && job.progress) {
      return h("div", { class: "going" }, progress(job.progress.percent, "Progress of " + job.type), h("span", null, [job.progress.percent === undefined || job.progress.percent === null ? null : Math.round(job.progress.percent) + " %", job.progress.stage, job.progress.message].filter(Boolean).join(" · ")));
    }
    const parts = [];
    if (job.due && (phase === "scheduled" || phase === "retry")) parts.push(h("span", { class: "due" }, when(job.due), " "));
    if (job.error && phase !== "done") parts.push(h("span", { class: phase === "dead" ? "error" : "dim" }, job.error.message ?? job.error.code), " ");
    parts.push(meta(job, 3), job.tags?.map((tag) => h("span", { class: "tag" }, tag)), job.batch && h("span", { class: "tag" }, job.batch));
    return parts;
  }

  /** The whole row opens the job, except where something else was meant: a control, or text being selected. */
  function clicked(event, job) {
    if (event.target.closest("a, input, button") || String(getSelection())) return;
    if (event.target.closest(".check")) return toggle(job.id);
    go(jobLink(job.id));
  }

  function actions() {
    if (!selected.size) return null;
    const some = rows.filter((one) => selected.has(one.id));
    const states = new Set(some.map((one) => one.state));
    const useful = { requeue: ["done", "dead"], cancel: ["new", "cur", "hold"], hold: ["new"], release: ["hold"], delete: ["done", "dead"] };
    const verbs = Object.keys(useful).filter((verb) => (all || useful[verb].some((state) => states.has(state))) && may(verb === "delete" ? "admin" : "operate"));
    return h("div", { class: "actions", role: "region", "aria-label": "Selected jobs" },
      h("strong", null, all ? `All ${exactCount(total)} that match` : plural(selected.size, "job") + " selected"),
      !all && total > rows.length && selected.size >= rows.length && h("button", { class: "quiet", onclick: everything }, `Select all ${exactCount(total)} that match`),
      h("span", { class: "grow" }),
      verbs.map((verb) => h("button", { key: verb, class: verb === "delete" ? "danger" : "", onclick: () => run(verb) }, NAMES[verb])),
      h("button", { class: "quiet icon-only", "aria-label": "Select none", onclick: () => page.keys.Escape() }, icon("close")));
  }
}
