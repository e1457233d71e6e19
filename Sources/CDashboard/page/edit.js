// Editing a job that waits, is held or is dead: the text of its file as its producer wrote it, and nothing else, because
// what is saved replaces all of it.

import { edit } from "./actions.js";
import { getFile, getJob, parseExactly } from "./api.js";
import { h } from "./dom.js";
import { shortId, typeOf } from "./format.js";
import { badge } from "./icons.js";
import { go, jobLink } from "./route.js";
import { loading, toast, trouble } from "./ui.js";

/** What redaction leaves in place of a value. */
const MASK = "•••";

export default function editing(page) {
  const id = page.route.path[1] ?? "";
  let job, form, problem;

  async function load() {
    try {
      const [found, text] = await Promise.all([getJob(id, page.signal), getFile(id, page.signal)]);
      job = found;
      form = build(text);
      problem = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error;
    }
    page.draw();
  }
  load();

  return () => {
    page.title("Edit " + shortId(id));
    return h("div", { class: "narrow" },
      h("header", { class: "page-head" }, h("h1", null, "Edit"), job && h("p", null, h("a", { href: jobLink(id) }, typeOf(job), " ", h("code", null, shortId(id))), " ", badge(job))),
      form ?? (problem ? trouble(problem, load) : loading(8)));
  };

  function build(text) {
    const shown = tidy(text);
    const hidden = shown.includes(MASK);
    const dead = job.state === "dead";
    const note = h("p", { class: "field-note", role: "alert" });
    const box = h("textarea", { id: "f-file", name: "file", rows: Math.min(30, Math.max(10, shown.split("\n").length + 1)), spellcheck: "false", value: shown });
    const save = h("button", { class: "primary" }, dead ? "Save and requeue" : "Save");
    const saveOnly = dead && h("button", { type: "button" }, "Save only");
    const able = (yes) => [save, saveOnly].forEach((button) => button && (button.disabled = !yes));
    box.oninput = () => {
      note.textContent = box.value.includes(MASK) ? `${MASK} stands for a value that is hidden; saving would put the dots in its place.` : wrongIn(box.value);
      able(note.textContent === "");
    };
    able(!hidden);
    const saving = (requeue) => async (event) => {
      event.preventDefault();
      able(false);
      try {
        await edit(id, box.value, requeue);
        toast(requeue ? "Saved and requeued" : "Saved");
        go(jobLink(id));
      } catch (error) {
        note.textContent = (error.key ? error.key + ": " : "") + error.message;
        able(true);
      }
    };
    if (saveOnly) saveOnly.onclick = saving(false);
    return h("form", { class: "form", "data-island": "form", onsubmit: saving(dead) },
      hidden && h("div", { class: "standing t-retry" }, h("p", null, h("strong", null, "Parts of it are hidden here."), " Write them anew in place of the dots, or use ", h("code", null, "jobspool edit"), " on the machine.")),
      h("div", { class: "field" }, h("label", { for: "f-file" }, "Job file"), box), note,
      h("div", { class: "form-actions" }, save, saveOnly, h("a", { class: "button", href: jobLink(id) }, "Cancel")));
  }
}

/** In lines, when it came in one; the numbers stay as they are written. */
function tidy(text) {
  if (text.trim().includes("\n")) return text;
  try {
    return JSON.stringify(parseExactly(text), null, 2);
  } catch {
    return text;
  }
}

function wrongIn(text) {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return `Not JSON: ${error.message}`;
  }
}
