// Submitting a job by form, or again from an old one. What will be sent is shown as it is sent.

import { get, getJob, may, Problem, post } from "./api.js";
import { h } from "./dom.js";
import { go, jobLink, link } from "./route.js";
import { failed, loading, toast, trouble } from "./ui.js";

/** What redaction leaves in place of a value. */
const MASK = "•••";

export default function submit(page) {
  const from = page.route.query.get("from");
  let types = [], old, problem, form;

  async function load() {
    try {
      // A producer may not list the types; then the name is typed.
      [types, old] = await Promise.all([may("read") ? get("types", null, page.signal).then((answer) => answer.types, () => []) : [], from && getJob(from, page.signal)]);
      form = build();
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error;
    }
    page.draw();
  }
  load();
  return () => {
    page.title("Submit");
    return h("div", { class: "narrow" }, h("header", { class: "page-head" }, h("h1", null, "Submit a job")), form ?? (problem ? trouble(problem, load) : loading(8)));
  };

  function build() {
    const hidden = old && JSON.stringify(old.payload ?? null).includes(MASK);
    const name = page.route.query.get("type") ?? old?.type ?? "";
    const field = (label, element, hint) => {
      element.id = "f-" + element.name;
      return h("div", { class: "field" }, h("label", { for: element.id }, label), element, hint && h("p", { class: "dim" }, hint));
    };
    const text = (id, value, attributes) => h("input", { name: id, value: value ?? "", spellcheck: "false", autocomplete: "off", ...attributes });
    const payload = h("textarea", { name: "payload", rows: 12, spellcheck: "false", value: old ? JSON.stringify(old.payload ?? null, null, 2) : "{\n  \n}" });
    const note = h("p", { class: "field-note", role: "status" });
    const preview = h("pre", { class: "preview" });
    const button = h("button", { class: "primary" }, "Submit");
    const element = h("form", { class: "form", "data-island": "form", onsubmit: send, oninput: look },
      hidden && h("div", { class: "standing t-retry" }, h("p", null, h("strong", null, "Parts of the payload are hidden here. "), "Type them in again before you submit.")),
      h("div", { class: "fields" },
        field("Type", text("type", name, { required: true, list: "types", autofocus: !old })), h("datalist", { id: "types" }, types.map((one) => h("option", { value: one.type }))),
        field("Priority", h("select", { name: "priority", value: String(old?.priority ?? 5) }, Array.from({ length: 10 }, (_, index) => h("option", { value: String(index) }, index === 0 ? "0, first" : index === 5 ? "5, normal" : index === 9 ? "9, last" : index)))),
        field("Not before", h("input", { type: "datetime-local", name: "run_at", step: 1 }), "Your local time; empty: at once.")),
      field("Payload", payload), note,
      h("details", { open: Boolean(old) },
        h("summary", null, "More"),
        h("div", { class: "fields" },
          field("Once per key", text("unique", "", { placeholder: "order-4711" }), "The same type and key is accepted once."),
          field("Id", text("id", "", { placeholder: "made for you" })),
          field("Tags", text("tags", old?.tags?.join(" "), { placeholder: "eu vip" })),
          field("Batch", text("batch", old?.batch)),
          field("After", text("after", old?.after?.map((one) => one.id ?? one).join(" "), { placeholder: "ids or batch:NAME" })),
          field("Expires", h("input", { type: "datetime-local", name: "expires_at", step: 1 })),
          field("Attempts", text("max_attempts", "", { type: "number", min: 1, max: 1000, placeholder: "the handler's" })),
          field("Time limit", text("timeout", "", { placeholder: "the handler's, or 90s" }))),
        field("Meta", h("textarea", { name: "meta", rows: 3, spellcheck: "false", value: old?.meta ? JSON.stringify(old.meta, null, 2) : "" }), "An object, shown and searched.")),
      h("details", null, h("summary", null, "What is sent"), preview),
      h("div", { class: "form-actions" }, button, h("a", { class: "button", href: from ? jobLink(from) : link("jobs") }, "Cancel")));
    look();
    return element;

    /** The job file, or the first thing that is wrong. */
    function job() {
      const value = (id) => element.elements[id]?.value.trim() ?? "";
      const words = (id) => value(id).split(/[\s,]+/).filter(Boolean);
      const parse = (id, label) => {
        try {
          // Only to see whether it is JSON: what is sent is the text itself, so no number changes on the way.
          JSON.parse(value(id));
          return value(id);
        } catch (error) {
          throw new Problem(400, { key: id, detail: `${label} is not JSON: ${error.message}` });
        }
      };
      if (!value("type")) throw new Problem(400, { key: "type", detail: "A type is needed." });
      const parts = [["type", JSON.stringify(value("type"))]];
      if (value("id")) parts.push(["id", JSON.stringify(value("id"))]);
      if (value("priority") !== "5") parts.push(["priority", value("priority")]);
      for (const id of ["run_at", "expires_at"]) if (value(id)) parts.push([id, JSON.stringify(new Date(value(id)).toISOString())]);
      for (const id of ["tags", "after"]) if (words(id).length) parts.push([id, JSON.stringify(words(id))]);
      if (value("batch")) parts.push(["batch", JSON.stringify(value("batch"))]);
      if (value("max_attempts")) parts.push(["max_attempts", String(Number(value("max_attempts")))]);
      if (value("timeout")) parts.push(["timeout", JSON.stringify(value("timeout"))]);
      if (old?.notify?.length) parts.push(["notify", JSON.stringify(old.notify)]);
      if (value("meta")) parts.push(["meta", parse("meta", "Meta")]);
      if (value("payload")) parts.push(["payload", parse("payload", "The payload")]);
      return `{\n${parts.map(([key, text]) => `  ${JSON.stringify(key)}: ${text.replace(/\n/g, "\n  ")}`).join(",\n")}\n}`;
    }

    function look() {
      try {
        preview.textContent = job();
        note.textContent = "";
        button.disabled = element.elements.payload.value.includes(MASK);
      } catch (error) {
        note.textContent = error.key === "type" ? "" : error.message;
        preview.textContent = "";
        button.disabled = error.key !== "type";
      }
    }

    async function send(event) {
      event.preventDefault();
      button.disabled = true;
      try {
        const body = job();
        const unique = element.elements.unique.value.trim();
        const { id } = await post("jobs", body, { headers: unique ? { "Idempotency-Key": unique } : {} });
        toast("Submitted " + element.elements.type.value.trim());
        go(jobLink(id));
      } catch (error) {
        button.disabled = false;
        note.textContent = (error.key ? error.key + ": " : "") + error.message;
        if (error.id) toast(error.message, { problem: true, link: { href: jobLink(error.id), text: "Show it" } });
        else if (!(error instanceof Problem)) failed(error);
        const wrong = error.key && element.elements[error.key.split(".")[0]];
        wrong?.focus?.();
      }
    }
  }
}
