// Elements from plain calls. Texts become text nodes, never markup; nothing here can run a string.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false | any[]} Child */

/**
 * An element. `on*` are listeners, `vars` custom properties; true and false set or leave out an attribute.
 * @param {string} tag `div`, or `div.name.other`
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {any}
 */
export function h(tag, props, ...children) {
  return built(document.createElement(tag.split(".")[0]), tag, props, children);
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {any}
 */
export function s(tag, props, ...children) {
  return built(document.createElementNS(SVG, tag.split(".")[0]), tag, props, children);
}

/** @param {any} element @param {string} tag @param {Record<string, any> | null | undefined} props @param {Child[]} children */
function built(element, tag, props, children) {
  const names = tag.split(".").slice(1);
  if (names.length) element.classList.add(...names);
  // A select shows its value only when its options are there.
  append(element, children);
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  return element;
}

/** @param {any} element @param {string} name @param {any} value */
function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") String(value).split(" ").filter(Boolean).forEach((one) => element.classList.add(one));
  else if (name === "vars") Object.entries(value).forEach(([key, text]) => element.style.setProperty(key, String(text)));
  else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** @param {Element} element @param {Child[]} children */
function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
}

/**
 * Puts new children in the place of the old ones. The focus stays on the element with the same `data-key`.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  const key = active && element.contains(active) ? active.dataset.key : undefined;
  const fresh = document.createDocumentFragment();
  append(/** @type {any} */ (fresh), children);
  element.replaceChildren(fresh);
  if (key) /** @type {HTMLElement | null} */ (element.querySelector(`[data-key="${CSS.escape(key)}"]`))?.focus();
}

/**
 * Changes a text only when it differs, so that a busy page paints little.
 * @param {Element} element @param {string | number} text
 */
export function tell(element, text) {
  const shown = String(text);
  if (element.textContent !== shown) element.textContent = shown;
}

let count = 0;

/** A fresh id, to join a label and its field. */
export function freshId() {
  count += 1;
  return `n${count}`;
}
