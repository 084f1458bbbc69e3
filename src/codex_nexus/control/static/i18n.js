// Words of the page. A test keeps both languages at the same keys.

import { EN } from "./words-en.js";
import { ZH } from "./words-zh.js";

const REMEMBERED = "nexus-language";

/** @type {Record<string, Record<string, string>>} */
const ALL = { en: EN, zh: ZH };
let now = "en";

/** Chooses the language: what was chosen in this browser, what the configuration says, what the browser prefers. @param {string} configured */
export function settle(configured) {
  const remembered = localStorage.getItem(REMEMBERED);
  const preferred = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  apply(remembered ?? (configured in ALL ? configured : preferred));
}

/** @param {string} name */
export function choose(name) {
  localStorage.setItem(REMEMBERED, name);
  apply(name);
}

/** @param {string} name */
function apply(name) {
  now = name in ALL ? name : "en";
  document.documentElement.lang = now === "zh" ? "zh-CN" : "en";
}

export function language() {
  return now === "zh" ? "zh-CN" : "en";
}

export function isChinese() {
  return now === "zh";
}

/**
 * The words for a key, with `{name}` replaced.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const text = ALL[now][key] ?? EN[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
