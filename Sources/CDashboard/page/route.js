// Where the reader is, held in the address after `#`, so that a filtered list can be mailed to a colleague:
// #/jobs?state=dead&type=send-email

export function current() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").map(decodeURIComponent), query: new URLSearchParams(query ?? "") };
}

/** The address of a view; a list in `query` is repeated, what is empty is left out. */
export function link(path, query) {
  const search = query instanceof URLSearchParams ? query : new URLSearchParams();
  if (search !== query) {
    for (const [name, value] of Object.entries(query ?? {})) {
      for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") search.append(name, one);
    }
  }
  const text = search.toString();
  return "#/" + path + (text ? "?" + text : "");
}

export const jobLink = (id) => link("job/" + encodeURIComponent(id));
export const go = (address) => (location.hash = address);

/** Another address without a step in the reader's history: while typing in a search box. */
export function replace(address) {
  history.replaceState(null, "", address);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
