// The stream of events. It keeps one WebSocket, remembers the number of the last event and resumes from it, so nothing is
// missed over a lost connection; where no WebSocket gets through, it asks every few seconds instead and says so.
//
// States: off, connecting, live, waiting (a countdown runs), polling.

import { get, signedIn, token } from "./api.js";

const listeners = new Map();
const POLL = 5_000;
const SILENCE = 25_000;

export const live = { state: "off", retryAt: 0 };
let socket;
let last;
let failures = 0;
let timer;
let heard = 0;
let isFirst = true;

/** Calls `action` for each event of that name until the returned function is called. */
export function on(name, action) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  listeners.get(name).add(action);
  return () => listeners.get(name).delete(action);
}

function emit(name, data) {
  for (const action of [...(listeners.get(name) ?? [])]) action(data);
}

function become(state) {
  live.state = state;
  emit("state", state);
}

export function start() {
  stop();
  last = undefined;
  failures = 0;
  isFirst = true;
  connect();
}

export function stop() {
  clearTimeout(timer);
  const old = socket;
  socket = undefined;
  old?.close();
  become("off");
}

/** The reader does not want to wait for the countdown. */
export function retryNow() {
  if (live.state !== "waiting" && live.state !== "polling") return;
  clearTimeout(timer);
  connect();
}

function connect() {
  if (!signedIn()) return;
  if (live.state !== "polling") become("connecting");
  const url = new URL("v1/events", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  let mine;
  try {
    mine = new WebSocket(url, ["jobspool.v1", "bearer." + token()]);
  } catch {
    return lost();
  }
  socket = mine;
  mine.onopen = () => {
    const back = failures > 0;
    failures = 0;
    heard = Date.now();
    mine.send(JSON.stringify({ event: "subscribe:jobs", filter: {}, ...(last !== undefined && { since: last }) }));
    mine.send(JSON.stringify({ event: "request:job-stats" }));
    become("live");
    if (back) emit("resumed");
  };
  mine.onmessage = ({ data }) => {
    heard = Date.now();
    hear(JSON.parse(data));
  };
  mine.onclose = ({ code }) => {
    if (mine !== socket) return;
    socket = undefined;
    lost(code);
  };
}

function hear(message) {
  switch (message.event) {
    case "ready":
      last ??= message.seq;
      break;
    case "job-update":
      if (message.seq > (last ?? -1)) last = message.seq;
      emit("update", message);
      break;
    case "job-stats":
      emit("stats", message.data);
      // The answer to what was asked after subscribing: what views read before may lack what happened in between.
      if (isFirst) emit("reload");
      isFirst = false;
      break;
    case "job-alert":
      emit("alert", message.data);
      break;
    case "error":
      // Away for too long: what was missed is no longer kept, so every view reads afresh.
      if (message.code === "too_old") {
        last = undefined;
        socket?.send(JSON.stringify({ event: "subscribe:jobs", filter: {} }));
        emit("reload");
      }
  }
}

function lost(code) {
  failures += 1;
  clearTimeout(timer);
  if (code === 4401) get("me").catch(() => {}); // A 401 leads to the login page.
  if (failures >= 3) return poll();
  const delay = Math.min(30_000, 1000 * 2 ** (failures - 1)) * (1 + Math.random() / 4);
  live.retryAt = Date.now() + delay;
  become("waiting");
  timer = setTimeout(connect, delay);
}

/** Without a socket: as long as plain requests get through, views read afresh; else the countdown goes on. */
async function poll() {
  try {
    emit("stats", await statistics());
    become("polling");
    emit("reload");
    if (failures++ % 6 === 5) return connect();
    timer = setTimeout(poll, POLL);
  } catch {
    if (!signedIn()) return;
    const delay = Math.min(30_000, 1000 * 2 ** Math.min(failures - 1, 5));
    failures += 1;
    live.retryAt = Date.now() + delay;
    become("waiting");
    timer = setTimeout(connect, delay);
  }
}

async function statistics() {
  const queue = await get("queue");
  return { counts: queue.counts, running: queue.active.length, active: queue.active };
}

// A connection can be dead without saying so: after silence a question, and without an answer another connection.
setInterval(() => {
  if (live.state !== "live" || !socket) return;
  const silent = Date.now() - heard;
  if (silent > SILENCE * 2) {
    const dead = socket;
    socket = undefined;
    dead.close();
    lost();
  } else if (silent > SILENCE && socket.readyState === WebSocket.OPEN) socket.send('{"event":"request:job-stats"}');
}, 5_000);
addEventListener("online", retryNow);
addEventListener("visibilitychange", () => document.hidden || retryNow());
