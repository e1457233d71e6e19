// A handler's output as it grows: only what is new is asked for and appended; it follows the end until the reader
// scrolls up.

import { getLog, Problem } from "./api.js";
import { h } from "./dom.js";
import { bytes } from "./format.js";

/** The page keeps at most this much; the beginning is what goes. */
const KEPT = 512_000;
// Colours and cursor moves of terminals; nothing here interprets them.
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|.)/g;

export function follow(id, signal, running) {
  let next = 0, timer = 0, busy = false, following = true, note = "";
  let decoder = new TextDecoder();
  const text = h("pre", { class: "log", tabindex: 0, "aria-label": "Log", "data-island": "log-" + id });
  text.textContent = "";
  text.onscroll = () => (following = text.scrollTop + text.clientHeight >= text.scrollHeight - 8);

  async function look() {
    clearTimeout(timer);
    if (busy || signal.aborted) return;
    busy = true;
    let more = false;
    try {
      const piece = await getLog(id, next, signal);
      if (piece.size < next) {
        // Another log took its place.
        text.textContent = "";
        decoder = new TextDecoder();
        next = 0;
        more = piece.size > 0;
      } else {
        append(decoder.decode(piece.data, { stream: true }));
        next = piece.end;
        more = next < piece.size && piece.data.byteLength > 0;
      }
      note = next ? "" : "Nothing was written.";
    } catch (error) {
      if (error.name === "AbortError") return;
      note = error instanceof Problem && error.status === 404 ? "Nothing was written." : error.message;
    }
    busy = false;
    text.dataset.note = next ? "" : note;
    if (more) return look();
    if (running() && !document.hidden) timer = setTimeout(look, 1_000);
    else if (running()) timer = setTimeout(look, 4_000);
  }

  function append(more) {
    if (!more) return;
    text.append(more.replace(ESCAPES, "").replace(/\r\n?/g, "\n"));
    while (text.textContent.length > KEPT && text.childNodes.length > 1) text.firstChild.remove();
    if (following) text.scrollTop = text.scrollHeight;
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  return { element: text, look, aside: () => h("span", { class: "dim" }, running() ? "following " : "", next ? bytes(next) : "") };
}
