// The frame: logging in, the header, which view is shown, the keyboard. A view is a function that gets a `page` and
// returns what to draw; everything it asked for (events, timers, requests) ends with it.

import * as api from "./api.js";
import { may } from "./api.js";
import { h, patch } from "./dom.js";
import { tick } from "./format.js";
import { icon } from "./icons.js";
import { help, install as installKeys } from "./keys.js";
import * as live from "./live.js";
import { current, go, link } from "./route.js";
import { failed } from "./ui.js";
import { login } from "./login.js";

const VIEWS = {
  "": { name: "Overview", right: "read", load: () => import("./overview.js") },
  jobs: { name: "Jobs", right: "read", load: () => import("./jobs.js") },
  dead: { name: "Dead letters", right: "read", load: () => import("./dead.js") },
  types: { name: "Types", right: "read", load: () => import("./types.js") },
  schedules: { name: "Schedules", right: "read", load: () => import("./schedules.js") },
  system: { name: "System", right: "read", load: () => import("./system.js") },
  submit: { hidden: true, load: () => import("./submit.js") },
  edit: { hidden: true, load: () => import("./edit.js") },
  job: { hidden: true, load: () => import("./job.js") },
};

const top = document.getElementById("top");
const main = document.getElementById("main");
const banner = document.getElementById("banner");
let page;
let counts;
let node;

/** What a view may use; all of it ends when the reader goes elsewhere. */
function open(route, view) {
  const ending = new AbortController();
  const endings = [];
  let render = () => h("div");
  let drawn = 0, waiting = 0;
  const paint = () => {
    waiting = 0;
    drawn = performance.now();
    if (!ending.signal.aborted) patchMain(render());
  };
  const self = {
    route, view, signal: ending.signal,
    keys: {},
    width: () => main.clientWidth - 2 * parseFloat(getComputedStyle(main).paddingLeft),
    /** Soon, and at most eight times a second: a busy queue must not keep a phone busy. */
    draw() {
      if (waiting || ending.signal.aborted) return;
      waiting = setTimeout(paint, Math.max(0, 125 - (performance.now() - drawn)));
    },
    on: (name, action) => endings.push(live.on(name, action)),
    /** Every so often, and at once when the reader looks at the page again. */
    every(milliseconds, action) {
      const timer = setInterval(() => document.hidden || action(), milliseconds);
      const seen = () => document.hidden || action();
      document.addEventListener("visibilitychange", seen);
      endings.push(() => (clearInterval(timer), document.removeEventListener("visibilitychange", seen)));
    },
    title: (text) => (document.title = text ? `${text} · jobspool` : "jobspool"),
    moved: null,
    close() {
      ending.abort();
      clearTimeout(waiting);
      for (const end of endings) end();
    },
    begin(draw) {
      render = draw;
      paint();
    },
  };
  const resized = () => self.draw();
  addEventListener("resize", resized);
  endings.push(() => removeEventListener("resize", resized));
  return self;
}

/** The first drawing of a view replaces, later ones patch. */
function patchMain(node) {
  node.$key = page?.token;
  if (main.firstElementChild?.$key === node.$key && main.childElementCount === 1) patch(main.firstElementChild, node);
  else main.replaceChildren(node);
}

let visits = 0;

async function show() {
  if (!api.signedIn()) return;
  const route = current();
  const name = route.path[0];
  const view = VIEWS[name] ?? VIEWS[""];
  const same = page && page.view === view && page.route.path.join("/") === route.path.join("/");
  drawTop();
  top.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (same && page.moved) {
    page.route = route;
    return page.moved();
  }
  page?.close();
  const mine = (page = open(route, view));
  mine.token = "view-" + ++visits;
  mine.title(view.name);
  try {
    const module = await view.load();
    if (page !== mine) return;
    scrollTo(0, 0);
    mine.begin(module.default(mine));
    if (visits > 1) main.focus({ preventScroll: true });
  } catch (error) {
    failed(error);
  }
}

function drawTop() {
  const { path } = current();
  const here = path[0] === "job" || path[0] === "edit" ? "jobs" : path[0];
  const badgeFor = { dead: counts?.dead };
  patch(top.firstElementChild ?? top.appendChild(h("div", { class: "top" })),
    h("div", { class: "top" },
      h("a", { class: "brand", href: link("") }, mark(), h("span", null, "jobspool"), node && h("span", { class: "node" }, node)),
      api.signedIn() && h("nav", { "aria-label": "Views" },
        Object.entries(VIEWS).filter(([, view]) => !view.hidden && may(view.right)).map(([name, view]) =>
          h("a", { key: name, href: link(name), "aria-current": here === name ? "page" : null }, view.name,
            badgeFor[name] > 0 && h("span", { class: "pip" }, badgeFor[name] > 9999 ? "9k+" : badgeFor[name])))),
      api.signedIn() && h("div", { class: "tools" },
        connection(),
        may("read") && h("button", { class: "quiet icon-only", title: "Search  /", "aria-label": "Search jobs", onclick: search }, icon("search")),
        may("submit") && h("a", { class: "button", href: link("submit"), title: "Submit a job" }, icon("plus"), h("span", { class: "wide" }, "Submit")),
        menu())));
}

const mark = () => {
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  shape.setAttribute("viewBox", "0 0 16 16");
  shape.setAttribute("class", "mark");
  shape.setAttribute("aria-hidden", "true");
  for (const d of ["M2 3h12v10H2z", "M2 9h3.4l1 1.8h3.2l1-1.8H14"]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    shape.append(path);
  }
  return shape;
};

function connection() {
  const words = { live: "Live", connecting: "Connecting", waiting: "Offline", polling: "Polling", off: "Off" };
  const titles = { live: "Changes arrive as they happen", polling: "No WebSocket gets through; asking every 5 seconds", waiting: "The connection is lost", connecting: "Connecting", off: "" };
  return h("span", { class: "connection c-" + live.live.state, title: titles[live.live.state] }, h("span", { class: "lamp", "aria-hidden": "true" }), words[live.live.state]);
}

function menu() {
  const { subject, role } = api.signedIn();
  const theme = document.documentElement.dataset.theme ?? "system";
  const pick = (name) =>
    h("button", { class: "quiet", "aria-pressed": String(theme === name), onclick: () => setTheme(name) }, name[0].toUpperCase() + name.slice(1));
  return h("details", { class: "menu" },
    h("summary", { "aria-label": "Menu", title: `${subject ?? ""} (${role})` }, icon("more")),
    h("div", { class: "menu-body" },
      h("p", null, h("strong", null, subject ?? "No name"), h("span", { class: "dim" }, " " + role)),
      h("div", { class: "themes", role: "group", "aria-label": "Colours" }, pick("system"), pick("light"), pick("dark")),
      h("button", { class: "quiet", onclick: help }, "Keyboard", h("kbd", null, "?")),
      h("button", { class: "quiet", onclick: () => (api.leaveEverywhere(), leave("You are logged out.")) }, "Log out")));
}

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("jobspool.theme", name);
  } catch {
    // A browser that keeps nothing: then it holds for this page.
  }
  drawTop();
}

function search() {
  if (current().path[0] !== "jobs") go(link("jobs"));
  const focus = (tries) => {
    const box = document.getElementById("search");
    if (box) box.select();
    else if (tries) setTimeout(focus, 50, tries - 1);
  };
  focus(20);
}

function drawBanner() {
  const seconds = Math.max(0, Math.ceil((live.live.retryAt - Date.now()) / 1000));
  const node = live.live.state !== "waiting" ? h("div") :
    h("div", { class: "banner" }, icon("warn"),
      h("span", null, "The connection is lost. What you see may be old. ", h("span", { "aria-hidden": "true" }, seconds ? `Again in ${seconds} s.` : "Trying …")),
      h("button", { class: "quiet", onclick: live.retryNow }, "Try now"));
  patch(banner.firstElementChild ?? banner.appendChild(h("div")), node);
}

function leave(message) {
  api.keep(null);
  live.stop();
  page?.close();
  page = undefined;
  counts = undefined;
  drawTop();
  drawBanner();
  document.title = "jobspool";
  main.replaceChildren(login({ message, entered: enter }));
}

async function enter() {
  const me = await api.get("me");
  api.keep({ ...api.signedIn(), ...me });
  if (may("read")) {
    live.start();
    api.get("queue").then((queue) => {
      counts = queue.counts;
      node = queue.daemon?.node;
      drawTop();
    }, () => {});
  } else if (current().path[0] !== "job") {
    go(link("submit"));
  }
  await show();
}

async function begin() {
  try {
    const theme = localStorage.getItem("jobspool.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // As above.
  }
  api.whenExpired((why) => leave(why ?? "Your session has ended. Log in again."));
  live.on("state", () => (drawTop(), drawBanner()));
  live.on("stats", (data) => {
    counts = data.counts;
    drawTop();
  });
  setInterval(() => {
    tick();
    if (live.live.state === "waiting") drawBanner();
  }, 1_000);
  setInterval(api.renew, 600_000);
  addEventListener("hashchange", arrive);
  document.addEventListener("click", ({ target }) => {
    for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(target) || target.closest(".menu-body a, .menu-body button")) open.open = false;
  });
  installKeys({ search, page: () => page });
  arrive();
}

/** A login link may be opened in a tab where the page already is, so each change of the address is looked at for one. */
async function arrive() {
  const code = /^#login=(.+)$/.exec(location.hash)?.[1];
  if (!code) {
    if (page) return show();
    if (!api.signedIn() && !(await api.borrow())) return leave();
    return enter().catch((error) => (error.status === 401 ? 0 : leave(error.message)));
  }
  // Out of the address bar and the history before anything else happens.
  history.replaceState(null, "", location.pathname + location.search + "#/");
  try {
    api.keep(null);
    api.keep({ ...(await api.post("login", { code: decodeURIComponent(code) })), renewable: true });
    await enter();
  } catch (error) {
    leave(error.message);
  }
}

begin();
