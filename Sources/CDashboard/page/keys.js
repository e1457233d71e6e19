// The keyboard, and the page that explains it. A view adds its own keys in `page.keys`.

import { h } from "./dom.js";
import { go, link } from "./route.js";
import { isAsking } from "./ui.js";

const GO = { o: "", j: "jobs", d: "dead", t: "types", s: "schedules", y: "system", n: "submit" };

const KEYS = [
  ["Everywhere", [["/", "search jobs"], ["?", "this page"], ["esc", "close, leave a field"]]],
  ["Go to", [["g o", "overview"], ["g j", "jobs"], ["g d", "dead letters"], ["g t", "types"], ["g s", "schedules"], ["g y", "system"], ["g n", "submit a job"]]],
  ["Jobs", [["j k", "next, previous job"], ["enter", "open it"], ["x", "select it"], ["a", "select all that match"], ["r", "requeue"], ["c", "cancel"], ["h", "hold, release"]]],
  ["A job", [["r", "requeue"], ["c", "cancel"], ["h", "hold, release"], ["e", "edit"], ["u", "back to the list"]]],
];

let leader = 0;

export function install({ search, page }) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isAsking()) return;
    const field = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape") {
      if (field) field.blur();
      for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
      return page()?.keys.Escape?.();
    }
    if (field && field.type !== "checkbox") return;
    if (Date.now() - leader < 1_500 && GO[event.key] !== undefined) {
      leader = 0;
      event.preventDefault();
      return go(link(GO[event.key]));
    }
    leader = 0;
    if (event.key === "g") return (leader = Date.now());
    const action = { "/": search, "?": help }[event.key] ?? page()?.keys[event.key];
    if (!action) return;
    // Enter on a link or a button is already something.
    if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
    event.preventDefault();
    action();
  });
}

export function help() {
  const dialog = h("dialog", { class: "dialog help", "aria-labelledby": "help-title", onclose: () => dialog.remove(), onclick: (event) => event.target === dialog && dialog.close() },
    h("div", { class: "dialog-body" },
      h("h2", { id: "help-title" }, "Keyboard"),
      h("div", { class: "help-groups" }, KEYS.map(([title, keys]) =>
        h("section", null, h("h3", null, title),
          h("dl", null, keys.map(([key, what]) => [h("dt", null, key.split(" ").map((one) => h("kbd", null, one))), h("dd", null, what)]))))),
      h("div", { class: "dialog-actions" }, h("button", { class: "primary", onclick: () => dialog.close() }, "Close"))));
  document.body.append(dialog);
  dialog.showModal();
}
