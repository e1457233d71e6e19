// Without a session: how to get one. A link from `jobspool dashboard` needs no typing; a token is pasted.

import * as api from "./api.js";
import { h } from "./dom.js";

export function login({ message, entered }) {
  const note = h("p", { class: "note", role: "alert" }, message ?? "");
  const field = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", placeholder: "eyJhbGciOi…", required: true });
  const button = h("button", { class: "primary" }, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    const token = field.value.trim().replace(/^Bearer\s+/i, "");
    if (!token) return;
    button.disabled = true;
    // A whole link pasted here works as well.
    const code = /#login=(\S+)$/.exec(token)?.[1];
    if (code) return (location.hash = "login=" + code);
    api.keep({ token });
    try {
      await entered();
    } catch (error) {
      api.keep(null);
      const box = document.querySelector(".login .note");
      if (box) box.textContent = error.status === 401 ? "This token is not valid, or no longer." : error.message;
      button.disabled = false;
    }
  };
  return h("div", { class: "login" },
    h("h1", null, "Log in"),
    note,
    h("ol", null,
      h("li", null, "On the machine, run ", h("code", null, "jobspool dashboard"), "."),
      h("li", null, "Open the link it prints. It works once, within ten minutes.")),
    h("form", { onsubmit: submit },
      h("label", { for: "token" }, "Or paste a token"),
      h("div", { class: "row" }, field, button),
      h("p", { class: "dim" }, h("code", null, "jobspool token create --role viewer"), " makes one. It stays in the open tabs and is forgotten with them.")));
}
