// The guide's first question: which provider. Those that run on this machine come first.

import { get } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { CUSTOM, provider, state } from "./store.js";

/** @typedef {import("./store.js").Provider} Provider */
/** @typedef {(id: string, first: string) => void} Pick */

const FIRST = 10;

/** @type {any[]} */
let found = [];
let looked = false;
let all = false;

/** Looks once for providers that run on this machine. @param {() => void} seen */
export async function look(seen) {
  if (looked) return;
  looked = true;
  try {
    found = (await get("local")).providers;
  } catch {
    found = [];
  }
  if (found.length) seen();
}

/** The heading of a step, which takes the keyboard where nothing else does. @param {string} text */
export function heading(text) {
  return h("h2", { tabindex: "-1" }, text);
}

/** @param {Pick} pick @param {() => void} redraw */
export function choosing(pick, redraw) {
  const tile = (/** @type {Provider} */ one) => h("button.tile", { type: "button", "data-provider": one.id, onclick: () => pick(one.id, one.default_model) }, h("b", null, titled(one)), h("code", null, one.id === CUSTOM ? t("guide.custom") : host(one.address)));
  const here = (/** @type {any} */ one) => h("button.tile.lit", { type: "button", "data-provider": one.id, onclick: () => pick(one.id, one.models[0]) }, h("b", null, h("span.dot.on"), one.name), h("code", null, t("guide.running", { n: one.models.length })));
  const remote = state.providers.filter((one) => !one.local);
  const shown = all ? [...remote, ...state.providers.filter((one) => one.local && one.id !== CUSTOM)] : remote.slice(0, FIRST);
  const custom = provider(CUSTOM);
  const more = () => ((all = true), redraw());
  return [
    heading(t("guide.choose")),
    found.length > 0 && h("div", null, h("p.label", null, t("guide.found")), h("div.tiles", null, found.map(here))),
    h("div.tiles", null, shown.map(tile), custom && tile(custom), !all && h("button.tile.more", { type: "button", onclick: more }, t("guide.all", { n: state.providers.length }))),
  ];
}

/** @param {Provider} one */
function titled(one) {
  return one.id === CUSTOM ? t("guide.other") : one.name.replace(/\s*\(takes.*\)$/, "");
}

/** @param {string} address */
function host(address) {
  return address.replace(/^https?:\/\//, "").split("/")[0];
}
