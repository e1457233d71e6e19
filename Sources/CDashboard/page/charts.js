// Small charts of our own. Each is an SVG for the eye, with a reading of the bar under the pointer, and the same figures
// as a table for a screen reader.

import { h, s } from "./dom.js";
import { count, exactCount } from "./format.js";

/** A round number at or above the highest bar, that divides into the lines of the grid. */
function ceiling(highest) {
  if (highest <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 2, 4, 5, 8, 10].map((step) => step * power).find((top) => top >= highest);
}

/**
 * Bars of finished with failed on top. `points`: [{ label, tick, done, dead }], where `tick` is the word below the axis;
 * `width` in pixels, because text in a chart should be as large as text beside it.
 */
export function stacked({ points, width, height = 168, title, unit }) {
  const left = 4, right = 40, top = 8, bottom = 22;
  const inner = { width: width - left - right, height: height - top - bottom };
  const max = ceiling(Math.max(...points.map((point) => point.done + point.dead)));
  const y = (value) => top + inner.height * (1 - value / max);
  const step = inner.width / points.length;
  // Seven bars as wide as they could be would be a wall.
  const wide = Math.min(52, step - Math.min(4, Math.max(1, step * 0.22)));
  // Found from the bar, because a redrawn chart keeps the reading that is shown.
  const read = ({ currentTarget }, point) =>
    (currentTarget.closest("figure").querySelector(".readout").textContent =
      point ? `${point.label}: ${exactCount(point.done)} done, ${exactCount(point.dead)} failed` : "");
  const bar = (point, index) => {
    const x = left + index * step + (step - wide) / 2;
    const whole = point.done + point.dead;
    // A single failure among thousands is still seen: two pixels at least.
    const deadHeight = point.dead ? Math.max(2, (inner.height * point.dead) / max) : 0;
    const doneHeight = Math.max(point.done ? 1 : 0, (inner.height * point.done) / max);
    return s("g", { onpointerenter: (event) => read(event, point), onpointerleave: (event) => read(event) },
      s("rect", { class: "hit", x: left + index * step, y: top, width: step, height: inner.height }),
      doneHeight > 0 && s("rect", { class: "f-done", x, y: top + inner.height - doneHeight, width: wide, height: doneHeight, rx: step > 6 ? 1.5 : 0 }),
      deadHeight > 0 && s("rect", { class: "f-dead", x, y: top + inner.height - doneHeight - deadHeight - (whole > point.dead ? 1 : 0), width: wide, height: deadHeight, rx: step > 6 ? 1.5 : 0 }),
      point.tick && s("text", { class: "axis", x: x + wide / 2, y: height - 6, "text-anchor": index === 0 && step < 30 ? "start" : "middle" }, point.tick));
  };
  return h("figure", { class: "chart" },
    h("figcaption", null,
      h("span", { class: "legend" }, h("span", { class: "dot f-done" }), "done"),
      h("span", { class: "legend" }, h("span", { class: "dot f-dead" }), "failed"),
      h("output", { class: "readout", "aria-hidden": "true", "data-island": "reading" })),
    s("svg", { width: "100%", height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" },
      [0, 0.5, 1].map((part) => [
        s("line", { class: part ? "grid" : "grid base", x1: left, x2: left + inner.width, y1: y(max * part), y2: y(max * part) }),
        part > 0 && s("text", { class: "axis", x: width - right + 6, y: y(max * part) + 4 }, count(max * part), part === 1 && unit ? s("tspan", { class: "unit" }, unit) : null),
      ]),
      points.map(bar)),
    table(title, ["Time", "Done", "Failed"], points.map((point) => [point.label, point.done, point.dead])));
}

/** Up to 24 small bars; nothing where there is no value. */
export function spark(values, { label, format, height = 22 }) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (!known.length) return h("span", { class: "dim" }, "–");
  const max = Math.max(...known) || 1;
  const width = values.length * 4;
  const text = `${label}: ${known.length} values, least ${format(Math.min(...known))}, most ${format(max)}`;
  return s("svg", { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": text },
    s("title", null, text),
    s("line", { x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5 }),
    values.map((value, index) => {
      if (value === null || value === undefined) return null;
      const tall = Math.max(1.5, ((height - 2) * value) / max);
      return s("rect", { x: index * 4, y: height - tall, width: 3, height: tall });
    }));
}

/** How many jobs of each type have waited how long: the darker, the more. */
export function heat({ columns, rows, href }) {
  // Ages that nothing has reached would only take room.
  const used = Math.max(4, ...rows.map((row) => row.counts.findLastIndex((value) => value > 0))) + 1;
  columns = columns.slice(0, used);
  const max = Math.max(1, ...rows.flatMap((row) => row.counts));
  const shade = (value) => (value ? Math.max(1, Math.ceil((Math.log(value + 1) / Math.log(max + 1)) * 4)) : 0);
  return h("div", { class: "scroll" },
    h("table", { class: "heat" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Type"), columns.map((name) => h("th", { scope: "col", class: "num" }, name)), h("th", { scope: "col", class: "num" }, "All"))),
      h("tbody", null, rows.map((row) =>
        h("tr", { key: row.type },
          h("th", { scope: "row" }, h("a", { href: href(row.type) }, row.type)),
          row.counts.slice(0, used).map((value) => h("td", { class: "num heat-" + shade(value) }, value ? exactCount(value) : "·")),
          h("td", { class: "num sum" }, exactCount(row.counts.reduce((sum, value) => sum + value, 0))))))));
}

const table = (title, heads, rows) =>
  h("table", { class: "sr" }, h("caption", null, title),
    h("thead", null, h("tr", null, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, index) => (index ? h("td", null, cell) : h("th", { scope: "row" }, cell)))))));
