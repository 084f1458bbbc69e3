// Where a provider is asked: typed in, or chosen among the addresses of its regions and plans.

import { t } from "./i18n.js";
import { CUSTOM, state, touched } from "./store.js";
import { field, select, textInput } from "./widgets.js";

/** @typedef {import("./store.js").Provider} Provider */

/** The address in the draft. @param {Provider} one */
export function addressOf(one) {
  if (one.id === CUSTOM) return state.form.custom_upstream;
  return state.form.provider_addresses[one.id] ?? usual(one);
}

/** Whether somebody must fill the address in. @param {Provider} one */
export function lacksAddress(one) {
  return !addressOf(one) || addressOf(one).includes("{");
}

/** The field for it; nothing where a provider has one address alone. @param {Provider} one @param {string} [key] */
export function addressField(one, key = "address") {
  const others = Object.entries(one.other_addresses).filter(([name, url]) => name !== "usual" && !url.includes("{"));
  const own = one.id === CUSTOM || usual(one).includes("{");
  if (!own && !others.length) return null;
  const path = one.id === CUSTOM ? "custom_upstream" : `provider_addresses.${one.id}`;
  if (own) {
    const input = textInput(addressOf(one), (text) => put(one, text.trim()), { type: "url", class: "mono", placeholder: "http://127.0.0.1:8000/v1", "data-key": key });
    return field(t("key.custom_upstream"), input, { help: t("help.custom_upstream"), path });
  }
  const choices = [["", usual(one)], ...others].map(([name, url]) => [url, name ? `${url} (${name})` : url]);
  const chosen = addressOf(one);
  if (!choices.some(([url]) => url === chosen)) choices.push([chosen, chosen]);
  return field(t("key.custom_upstream"), select(chosen, /** @type {[string, string][]} */ (choices), (url) => put(one, url), { "data-key": key, class: "mono" }), { help: t("help.address"), path });
}

/** @param {Provider} one */
function usual(one) {
  return one.other_addresses.usual ?? one.address;
}

/** @param {Provider} one @param {string} url */
function put(one, url) {
  if (one.id === CUSTOM) state.form.custom_upstream = url;
  else if (url && url !== usual(one)) state.form.provider_addresses[one.id] = url;
  else delete state.form.provider_addresses[one.id];
  touched();
}
