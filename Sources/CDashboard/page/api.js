// Talking to the server: one function per way of asking, one error type. The token lives in sessionStorage: there are no
// cookies, so no other site can act in the reader's name, and closing the last tab logs out.

// By path, because a proxy may show several spools under one name, and a token is for one of them.
const STORE = "jobspool.session " + new URL("./", document.baseURI).pathname;
const tabs = new BroadcastChannel(STORE);
let session = read();
let onExpired = () => {};

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE));
  } catch {
    return null;
  }
}

export const token = () => session?.token;
export const signedIn = () => session;
export const may = (right) => session?.may?.includes(right) ?? false;
export const whenExpired = (action) => (onExpired = action);

export function keep(next) {
  session = next;
  if (next) sessionStorage.setItem(STORE, JSON.stringify(next));
  else sessionStorage.removeItem(STORE);
}

/** A link opened in a new tab: the other tabs are asked for the session, as that tab has none of its own. */
export function borrow() {
  return new Promise((resolve) => {
    const answered = ({ data }) => data.session && done(data.session);
    const done = (found) => {
      tabs.removeEventListener("message", answered);
      if (found && !session) keep(found);
      resolve(session);
    };
    tabs.addEventListener("message", answered);
    tabs.postMessage({ asks: true });
    setTimeout(done, 200);
  });
}
tabs.addEventListener("message", ({ data }) => {
  if (data.asks && session) tabs.postMessage({ session });
  if (data.leaves && session) onExpired("You are logged out.");
});
export const leaveEverywhere = () => tabs.postMessage({ leaves: true });

/** What the server refused, in its own words: `detail` says how to mend it. `status` 0: it was not reached at all. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `The server answered ${status}.`);
    Object.assign(this, { status, title: body.title, code: body.code, key: body.key, id: body.id, instance: body.instance });
  }
}

/** `query` may hold lists; empty values are left out. Addresses are relative, so the page works below a proxy's path. */
export function address(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") search.append(name, one);
  }
  const text = search.toString();
  return "v1/" + path + (text ? "?" + text : "");
}

async function ask(method, path, { query, body, headers, signal } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (session) sent.Authorization = "Bearer " + session.token;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(address(path, query), {
      method, headers: sent, signal, body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
      credentials: "omit", cache: "no-cache", redirect: "error", referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: "Not reached", code: "offline", detail: "jobspool-web does not answer. It may be restarting; the daemon and the jobs go on without it." });
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && session) onExpired();
  if (response.status === 429 && !problem.detail) {
    problem.detail = `Too many requests; again in ${response.headers.get("Retry-After") ?? "a few"} s.`;
  }
  throw new Problem(response.status, problem);
}

export const get = async (path, query, signal) => (await ask("GET", path, { query, signal })).json();
export const post = async (path, body, options) => (await ask("POST", path, { body, ...options })).json();
export const put = async (path, body) => (await ask("PUT", path, { body })).json();
export const remove = (path) => ask("DELETE", path);

/** A job with its numbers as they are written: 12345678901234567890 stays that in view and after an edit. */
export async function getJob(id, signal) {
  const response = await ask("GET", "jobs/" + encodeURIComponent(id), { signal });
  return parseExactly(await response.text());
}

/** What the producer of a job wrote, as text. */
export const getFile = async (id, signal) => (await ask("GET", `jobs/${encodeURIComponent(id)}/file`, { signal })).text();

export function parseExactly(text) {
  if (!JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (key, value, { source } = {}) =>
    typeof value === "number" && source !== undefined && String(value) !== source ? JSON.rawJSON(source) : value,
  );
}

/** A piece of a handler's output: its bytes from a place on, where they end, and how many there are in all. */
export async function getLog(id, from, signal) {
  const response = await ask("GET", `jobs/${encodeURIComponent(id)}/log`, { query: { from }, signal, headers: { Accept: "text/plain" } });
  const data = await response.arrayBuffer();
  const end = from + data.byteLength;
  return { data, end, size: Number(response.headers.get("X-Log-Size") ?? end) };
}

/** A fresh token before the old one ends, so that a screen on a wall stays logged in as long as the server allows. */
export async function renew() {
  if (!session?.renewable) return;
  if (Date.parse(session.expires_at) - Date.now() > 3 * 3600_000) return;
  try {
    keep({ ...session, ...(await post("login/renew")) });
  } catch {
    // Then it ends when it ends, and the login page says so.
  }
}
