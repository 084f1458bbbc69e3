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
/** Servers that need something first. @type {any[]} */
let others = [];
let looked = false;
let all = false;

/** Looks once for providers that run on this machine. @param {() => void} seen */
export async function look(seen) {
  if (looked) return;
  looked = true;
  try {
    ({ providers: found, others } = await get("local"));
  } catch {
    found = others = [];
  }
  if (found.length + others.length) seen();
}

/** Whether a provider of this machine was seen to refuse without a key. @param {string} id */
export function wantsKey(id) {
  return others.some((one) => one.id === id && one.wants_key);
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
    found.length + others.length > 0 && h("div", null, h("p.label", null, t("guide.found")), h("div.tiles", null, found.map(here), others.map((one) => unready(one, pick)))),
    h("div.tiles", null, shown.map(tile), custom && tile(custom), !all && h("button.tile.more", { type: "button", onclick: more }, t("guide.all", { n: state.providers.length }))),
  ];
}

/** A server that needs something first; only a key can be given here. @param {any} one @param {Pick} pick */
function unready(one, pick) {
  const why = one.wants_key ? "key" : one.refusal ? "loading" : one.usual ? "empty" : "elsewhere";
  const words = [h("b", null, h("span.dot"), one.name), h("code", null, t(`guide.local.${why}`, { address: one.address }))];
  if (one.wants_key) return h("button.tile", { type: "button", "data-provider": one.id, onclick: () => pick(one.id, "") }, words);
  return h("div.tile.still", { "data-provider": one.id }, words);
}

/** @param {Provider} one */
function titled(one) {
  return one.id === CUSTOM ? t("guide.other") : one.name.replace(/\s*\(takes.*\)$/, "");
}

/** @param {string} address */
function host(address) {
  return address.replace(/^https?:\/\//, "").split("/")[0];
}
