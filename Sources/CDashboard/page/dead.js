// What failed for good, grouped by type and error with numbers, ids and paths folded, so that 1,204 failures are three
// lines; a group is requeued or deleted as one.

import { actOnMany } from "./actions.js";
import { get, may } from "./api.js";
import { h } from "./dom.js";
import { exactCount, plural, shortId, typeOf, when } from "./format.js";
import { badge, icon } from "./icons.js";
import { jsonBlock } from "./json.js";
import { jobLink, link } from "./route.js";
import { empty, loading, trouble } from "./ui.js";

export default function dead(page) {
  let data, problem, due = 0;
  async function load() {
    try {
      data = await get("dead", null, page.signal);
      problem = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error;
    }
    page.draw();
  }
  page.on("update", ({ change }) => {
    if (["buried", "rejected", "expired", "cancelled", "requeued", "purged"].includes(change) && !due) due = setTimeout(() => ((due = 0), page.signal.aborted || load()), 1_000);
  });
  page.on("reload", load);
  page.every(30_000, load);
  load();

  const run = async (verb, filter) => (await actOnMany(verb, { filter })) && load();

  return () => {
    if (!data) return h("div", null, title(), problem ? trouble(problem, load) : loading(8));
    return h("div", null, title(data.total), problem && trouble(problem, load),
      !data.groups.length ? empty("No dead letters.", "What fails for good will be here, grouped by its error.")
      : h("ul", { class: "groups" }, data.groups.map(group)));
  };

  function title(total) {
    return h("header", { class: "page-head" },
      h("h1", null, "Dead letters"), total !== undefined && h("p", { class: "dim" }, `${plural(total, "job")} in ${plural(data.groups.length, "group")}`));
  }

  function group(one) {
    const { sample, filter } = one;
    return h("li", { key: one.type + "\n" + one.code + "\n" + one.error, class: "group" },
      h("div", { class: "group-count num" }, exactCount(one.count)),
      h("div", { class: "group-body" },
        h("p", { class: "group-title" }, h("a", { href: link("jobs", filter) }, h("strong", null, typeOf(one))), " ", one.code && h("code", null, one.code)),
        h("p", { class: "group-error" }, one.error || (sample?.outcome ?? "No message")),
        h("p", { class: "dim" }, "newest ", when(one.newest_at), one.count > 1 && [", oldest ", when(one.oldest_at)]),
        sample && h("details", null, h("summary", null, "Newest of them"),
          h("div", { class: "group-sample" },
            h("p", null, badge(sample), " ", h("a", { href: jobLink(sample.id) }, h("code", null, shortId(sample.id))), ` after ${plural(sample.attempt ?? 0, "attempt")}`),
            sample.error && jsonBlock(sample.error, "error"),
            sample.meta && Object.keys(sample.meta).length > 0 && jsonBlock(sample.meta, "meta")))),
      h("div", { class: "buttons" },
        h("a", { class: "button", href: link("jobs", filter) }, "Show"),
        may("operate") && h("button", { onclick: () => run("requeue", filter) }, icon("retry"), "Requeue"),
        may("admin") && h("button", { class: "danger", onclick: () => run("delete", filter) }, "Delete")));
  }
}
