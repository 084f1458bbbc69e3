// Numbers and times for people, in the page's language.

import { language, t } from "./i18n.js";

/** @param {number} value */
export function count(value) {
  return value.toLocaleString(language());
}

/** 131072 -> `131k`, 1000000 -> `1M`. @param {number | null | undefined} tokens */
export function size(tokens) {
  if (!tokens) return "–";
  if (tokens >= 1e6) return `${trimmed(tokens / 1e6)}M`;
  return tokens >= 1000 ? `${trimmed(tokens / 1000)}k` : String(tokens);
}

/** @param {number} value */
function trimmed(value) {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.round(seconds % 60)).padStart(2, "0")} s`;
  return long(seconds);
}

/** Uptime: whole units only. @param {number} seconds */
export function long(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.floor(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : t("days", { n: Math.floor(hours / 24) });
}

/** @param {number} unix */
export function clock(unix) {
  return new Date(unix * 1000).toLocaleTimeString("en-GB");
}

/** Dollars per million tokens. @param {number[] | null} price */
export function money(price) {
  return price ? `$${plain(price[1])} / $${plain(price[2])}` : "–";
}

/** @param {number} value */
function plain(value) {
  return value >= 1 || value === 0 ? value.toFixed(2) : String(+value.toFixed(3));
}

/** Dollars that were spent. @param {number} dollars */
export function cost(dollars) {
  return dollars > 0 && dollars < 0.01 ? "<$0.01" : `$${dollars.toFixed(2)}`;
}
