// Numbers and times as people read them: `12.4 k`, `4 m 10 s`, "3 min ago", with the exact one on hover. No locale
// surprises: the same text everywhere, so that a screenshot, a test and a colleague on the phone agree.

import { h } from "./dom.js";

const THIN = "\u202f";

/** 1,204 · 12.4 k · 1.2 M */
export function count(number) {
  if (number === undefined || number === null) return "–";
  const size = Math.abs(number);
  if (size < 10_000) return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/, ",");
  for (const [unit, value] of [["M", 1e6], ["k", 1e3]]) {
    if (size >= value * 0.99995) return short(number / value) + THIN + unit;
  }
}

/** Every digit, with commas. */
export const exactCount = (number) => String(number ?? "").replace(/\B(?=(\d{3})+$)/g, ",");

const short = (number) => (number >= 99.95 ? String(Math.round(number)) : number.toFixed(1).replace(".0", ""));

/** 840 ms · 1.2 s · 42 s · 4 m 10 s · 3 h 12 m · 5 d 2 h */
export function duration(seconds) {
  if (seconds === undefined || seconds === null || Number.isNaN(seconds)) return "–";
  if (seconds < 0) seconds = 0;
  if (seconds < 0.0005) return "0" + THIN + "ms";
  if (seconds < 0.9995) return Math.round(seconds * 1000) + THIN + "ms";
  if (seconds < 9.95) return seconds.toFixed(1) + THIN + "s";
  const whole = Math.round(seconds);
  if (whole < 60) return whole + THIN + "s";
  for (const [big, unit, small, part] of [[60, "m", 1, "s"], [3600, "h", 60, "m"], [86400, "d", 3600, "h"]]) {
    if (whole < big * (unit === "m" ? 60 : unit === "h" ? 24 : Infinity)) {
      const rest = Math.floor((whole % big) / small);
      return Math.floor(whole / big) + THIN + unit + (rest ? " " + rest + THIN + part : "");
    }
  }
}

export function bytes(number) {
  if (number === undefined || number === null) return "–";
  for (const [unit, value] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (number >= value) return short(number / value) + THIN + unit;
  }
  return number + THIN + "B";
}

export function percent(part, digits = 1) {
  if (part === undefined || part === null) return "–";
  if (part === 1) return "100" + THIN + "%";
  // 99.97 % must not read as 100 %.
  return Math.min(part * 100, 99.9).toFixed(digits) + THIN + "%";
}

const two = (number) => String(number).padStart(2, "0");
export const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
export const clock = (date, seconds) =>
  `${two(date.getHours())}:${two(date.getMinutes())}${seconds ? ":" + two(date.getSeconds()) : ""}`;
export const exact = (date) => `${day(date)} ${clock(date, true)} here · ${date.toISOString()}`;

/** "12 s ago", "in 4 min", and from a week on the day. */
export function relative(date, now = Date.now()) {
  const seconds = (now - date) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return seconds >= 0 ? "just now" : "now";
  const text =
    size < 60 ? `${Math.floor(size)} s`
    : size < 3600 ? `${Math.floor(size / 60)} min`
    : size < 86_400 ? `${Math.floor(size / 3600)} h`
    : size < 7 * 86_400 ? `${Math.floor(size / 86_400)} d`
    : null;
  if (!text) return day(date);
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

/** A time, said relative to now and kept so by tick(). */
export function when(time, attributes) {
  if (!time) return "–";
  const date = new Date(time);
  return h("time", { datetime: time, title: exact(date), "data-tick": "relative", ...attributes }, relative(date));
}

/** How long something has been going on. */
export function since(time) {
  if (!time) return "–";
  const date = new Date(time);
  return h("time", { datetime: time, title: "since " + exact(date), "data-tick": "since" }, running(date));
}

const running = (date) => duration(Math.floor(Math.max(0, Date.now() - date) / 1000) || 0.0001).replace(/^0.ms$/, "0" + THIN + "s");

/** Once a second: every time on the page that is relative to now. */
export function tick() {
  for (const element of document.querySelectorAll("time[data-tick]")) {
    const date = new Date(element.dateTime);
    const text = element.dataset.tick === "since" ? running(date) : relative(date);
    if (element.textContent !== text) element.firstChild.data = text;
  }
}

/** An id in a narrow column: the beginning and the end, because ids of one moment begin alike. */
export const shortId = (id) => (id.length > 26 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id);

/** What was refused before it could be read has no type. */
export const typeOf = (job) => job.type ?? "no type";

/** "1 job", "1,204 jobs" */
export const plural = (number, one, many = one + "s") => `${exactCount(number)} ${number === 1 ? one : many}`;
