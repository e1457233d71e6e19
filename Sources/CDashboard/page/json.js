// JSON for reading: folded where it is long, every value as text whatever it holds, numbers as they were written.

import { h } from "./dom.js";
import { copyButton } from "./ui.js";

const raw = (value) => JSON.isRawJSON?.(value);
export const stringify = (value, indent) => (typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value, null, indent));

/** A block with the value and a button that copies it. */
export const jsonBlock = (value, label) =>
  h("div", { class: "json", role: "group", "aria-label": label },
    copyButton(() => (typeof value === "string" ? value : stringify(value, 2)), `Copy ${label}`),
    tree(value, 0, null, true));

function tree(value, depth, name, last) {
  const comma = last ? "" : ",";
  const label = name === null ? null : [h("span", { class: "j-key" }, JSON.stringify(name)), ": "];
  if (value === null || typeof value !== "object" || raw(value)) {
    return h("div", { class: "j-line" }, label, leaf(value), comma);
  }
  const list = Array.isArray(value);
  const entries = list ? value.map((one) => [null, one]) : Object.entries(value);
  const [open, close] = list ? "[]" : "{}";
  if (!entries.length) return h("div", { class: "j-line" }, label, open + close + comma);
  return h("details", { open: depth === 0 || (depth < 3 && entries.length <= 12) },
    h("summary", null, label, open, h("span", { class: "j-more" }, ` ${entries.length} ${close}${comma}`)),
    h("div", { class: "j-in" }, entries.map(([key, one], index) => tree(one, depth + 1, key, index === entries.length - 1))),
    h("div", null, close + comma));
}

function leaf(value) {
  if (typeof value === "string") return h("span", { class: "j-string" }, JSON.stringify(value));
  return h("span", { class: "j-atom" }, raw(value) ? value.rawJSON : String(value));
}
