// Pieces every view uses: messages that pass by, questions, the three states before there is data, buttons that copy.

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** A message at the bottom that goes by itself; with `undo`, the way back. A problem stays until it is closed. */
export function toast(text, { link, undo, problem } = {}) {
  const box = h(
    "div",
    { class: problem ? "toast bad" : "toast" },
    problem && icon("warn"),
    h("span", null, text),
    link && h("a", { href: link.href, onclick: () => box.remove() }, link.text),
    undo && h("button", { class: "quiet", onclick: () => (box.remove(), undo.action()) }, undo.text),
    h("button", { class: "quiet icon-only", "aria-label": "Close this message", onclick: () => box.remove() }, icon("close")),
  );
  const all = document.getElementById("toasts");
  all.append(box);
  while (all.children.length > 4) all.firstChild.remove();
  if (!problem) setTimeout(() => box.remove(), undo ? 9_000 : 6_000);
  return box;
}

export const failed = (error) => {
  if (error.name !== "AbortError") toast(error.message, { problem: true });
};

/** A question in front of everything. Resolves to true, or to false when closed in any other way. */
export function ask({ title, body, yes, danger, ready = true }) {
  return new Promise((resolve) => {
    const confirm = h("button", { class: danger ? "primary danger" : "primary", disabled: !ready, onclick: () => close(true) }, yes);
    const dialog = h(
      "dialog",
      { class: "dialog", "aria-labelledby": "dialog-title", onclose: () => close(false), onclick: (event) => event.target === dialog && close(false) },
      h("div", { class: "dialog-body" },
        h("h2", { id: "dialog-title" }, title),
        body,
        h("div", { class: "dialog-actions" }, h("button", { onclick: () => close(false) }, ready ? "Cancel" : "Close"), ready && confirm)),
    );
    const close = (answer) => {
      dialog.remove();
      resolve(answer);
    };
    document.body.append(dialog);
    dialog.showModal();
    (ready ? confirm : dialog.querySelector("button")).focus();
  });
}

export const isAsking = () => document.querySelector("dialog[open]") !== null;

/** Copies text and says so in place. */
export function copyButton(text, label) {
  return h("button", {
    class: "quiet icon-only copy", title: label, "aria-label": label,
    onclick: async ({ currentTarget: button }) => {
      try {
        await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
        button.classList.add("did");
        setTimeout(() => button.classList.remove("did"), 1_200);
      } catch {
        toast("The browser did not allow copying; select the text instead.", { problem: true });
      }
    },
  }, icon("copy"));
}

/** What went wrong and the way out. */
export const trouble = (error, again) =>
  h("div", { class: "trouble", role: "alert" },
    icon("warn"),
    h("div", null,
      h("strong", null, error.title ?? "That did not work"),
      h("p", null, error.message),
      error.instance && h("p", { class: "dim" }, "For the administrator: incident ", h("code", null, error.instance)),
      again && h("button", { onclick: again }, "Try again")));

/** Grey lines where text will be; they appear only when it takes a moment (see the style sheet). */
export const loading = (lines = 6) =>
  h("div", { class: "loading", role: "status" },
    h("span", { class: "sr" }, "Loading"),
    Array.from({ length: lines }, (_, index) => h("div", { class: "bar b" + (index % 4) })));

export const empty = (title, ...more) => h("div", { class: "empty" }, h("strong", null, title), more.length ? h("p", null, more) : null);

export const section = (title, aside, ...children) =>
  h("section", null, h("header", { class: "section-head" }, h("h2", null, title), aside), children);

/** A bar; without a percentage one that only says that something is going on. */
export function progress(percent, label) {
  const bar = h("progress", { "aria-label": label, max: 100 });
  // As an attribute, so that patch() sees it.
  if (percent !== undefined && percent !== null) bar.setAttribute("value", percent);
  return bar;
}

/** Narrow screens show the rows of this table as blocks, which takes its meaning from it; roles give it back. */
export function keepsItsMeaning(table) {
  table.setAttribute("role", "table");
  const roles = { THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
  for (const part of table.querySelectorAll("thead, tbody, tr, td, th")) {
    part.setAttribute("role", roles[part.nodeName] ?? (part.scope === "row" ? "rowheader" : "columnheader"));
  }
  return table;
}

/** The first entries of a job's meta, in a row. */
export const meta = (job, limit = 4) => {
  const entries = Object.entries(job.meta ?? {}).slice(0, limit);
  return entries.map(([name, value]) =>
    h("span", { class: "meta" }, h("span", { class: "dim" }, name + " "), typeof value === "object" ? JSON.stringify(value) : String(value)));
};
