// Building and updating the page. A view describes itself whole with h() and s(); patch() changes only what differs, so
// rows are updated in place, nothing flickers and focus and scroll stay. Text is only ever set as text: there is no way
// in here for a payload to become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `onclick` and the like are set as properties, `style` by CSSOM: the policy forbids both as markup. */
export function h(tag, attributes, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(element, attributes, children) {
  let value;
  for (const [name, given] of Object.entries(attributes ?? {})) {
    if (given === undefined || given === null) continue;
    if (name === "value" || name === "checked") value = [name, given];
    else if (given === false) continue;
    else if (name === "key") element.$key = String(given);
    else if (name === "style") Object.assign(element.style, given);
    else if (name.startsWith("on")) {
      element[name] = given;
      (element.$handlers ??= []).push(name);
    } else element.setAttribute(name, given === true ? "" : given);
  }
  add(element, children);
  if (value) {
    // After the children, because a select takes a value only when it has the option.
    element.$value = value;
    element[value[0]] = value[1];
  }
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === true) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Makes `old` look like `next` with as few changes as possible; returns what now stands in its place. */
export function patch(old, next) {
  if (old === next) return old;
  if (old.nodeName !== next.nodeName || old.$key !== next.$key) {
    old.replaceWith(next);
    return next;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return old;
  }
  // An island looks after itself: a log that grows, a form half filled in.
  if (old.dataset.island !== undefined && old.dataset.island === next.dataset.island) return old;
  patchAttributes(old, next);
  patchChildren(old, next);
  if (next.$value) {
    const [name, value] = (old.$value = next.$value);
    if (old[name] !== value && (name === "checked" || old !== document.activeElement)) old[name] = value;
  }
  return old;
}

/** What the reader opened stays open. */
const own = (element, name) => name === "open" && (element.nodeName === "DETAILS" || element.nodeName === "DIALOG");

function patchAttributes(old, next) {
  for (const { name, value } of [...next.attributes]) {
    if (name === "style" || own(old, name)) continue;
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "style" && !own(old, name) && !next.hasAttribute(name)) old.removeAttribute(name);
  }
  if (old.style.cssText !== next.style.cssText) old.style.cssText = next.style.cssText;
  for (const name of old.$handlers ?? []) if (!next.$handlers?.includes(name)) old[name] = null;
  for (const name of next.$handlers ?? []) old[name] = next[name];
  old.$handlers = next.$handlers;
}

function patchChildren(old, next) {
  const wanted = [...next.childNodes];
  const keys = new Set(wanted.map((child) => child.$key).filter((key) => key !== undefined));
  const known = new Map();
  for (const child of [...old.childNodes]) {
    if (child.$key === undefined) continue;
    if (keys.has(child.$key)) known.set(child.$key, child);
    else child.remove();
  }
  let at = old.firstChild;
  for (const child of wanted) {
    const match = child.$key !== undefined ? known.get(child.$key) : at && at.$key === undefined ? at : null;
    if (!match) old.insertBefore(child, at);
    else {
      if (match === at) at = at.nextSibling;
      else old.insertBefore(match, at);
      patch(match, child);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}
