// The providers as cards: which one is the default, which have a key, how to get and try one.

import { addressField, addressOf } from "./addresses.js";
import { fill, h } from "./dom.js";
import { size } from "./format.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { keyField, keyPool } from "./keys.js";
import { CUSTOM, emit, ready, state, touched } from "./store.js";
import { button, section, textInput } from "./widgets.js";

/** @typedef {import("./store.js").Provider} Provider */

let filter = "";
/** @type {Set<string>} */
const opened = new Set();

export function providers() {
  const grid = h("div.cards");
  const draw = () => fill(grid, ...chosen().map((one) => card(one, draw)), !chosen().length && h("p.empty", null, t("providers.none")));
  const search = textInput(filter, (text) => ((filter = text), draw()), {
    type: "search",
    placeholder: t("providers.filter"),
    "aria-label": t("providers.filter"),
  });
  draw();
  const shared = keyField({
    value: state.form.api_key,
    changed: (key) => ((state.form.api_key = key), touched()),
    label: t("key.api_key"),
    key: "api-key",
    path: "api_key",
    remove: state.form.api_key ? () => ((state.form.api_key = ""), touched(), emit("config")) : undefined,
  });
  const element = h(
    "div.area",
    null,
    h("h1", null, t("nav.providers")),
    h("p.lead", null, t("providers.lead")),
    h("div.toolbar", null, search),
    grid,
    section(t("providers.shared"), [shared], { lead: t("providers.shared.lead"), class: "boxed" }),
  );
  return { element };
}

/** The default first, then those that can be used, then the rest; those that match the filter. */
function chosen() {
  const words = filter.trim().toLowerCase();
  const matches = state.providers.filter((one) => `${one.id} ${one.name} ${one.address}`.toLowerCase().includes(words));
  return matches.sort((a, b) => rank(a) - rank(b));
}

/** @param {Provider} one */
function rank(one) {
  if (one.id === state.saved.provider) return 0;
  const keys = state.saved.provider_api_keys[one.id] ?? [];
  return keys.length ? 1 : one.id === CUSTOM ? 3 : one.local ? 2 : 4;
}

/** @param {Provider} one @param {() => void} redraw */
function card(one, redraw) {
  const isDefault = state.form.provider === one.id;
  const open = isDefault || opened.has(one.id);
  const choose = () => {
    state.form.provider = one.id;
    opened.add(one.id);
    touched();
    redraw();
  };
  const unfold = () => {
    if (open) opened.delete(one.id);
    else opened.add(one.id);
    redraw();
  };
  const head = h(
    "header",
    null,
    h("h2", null, titled(one)),
    isDefault ? h("span.badge.lit", null, t("provider.default")) : badge(one),
  );
  const use = !isDefault && button(t("provider.use"), choose, { key: `use-${one.id}` });
  const more = !isDefault && button(open ? t("provider.less") : t("provider.more"), unfold, { kind: "quiet", key: `more-${one.id}` });
  return h(
    "article.card",
    { "data-provider": one.id, class: `${isDefault ? "is-default" : ""} ${open ? "is-open" : ""}` },
    head,
    remark(one),
    !(open && one.id === CUSTOM) && h("p.card-address", null, h("code", null, addressOf(one) || t("provider.no.address"))),
    open && details(one, redraw),
    (use || more) && h("div.actions", null, use, more),
  );
}

/** A name may carry a remark in brackets, which is not part of the title. @param {Provider} one */
function titled(one) {
  return one.name.length > 30 ? one.name.replace(/\s*\(.*\)$/, "") : one.name;
}

/** @param {Provider} one */
function remark(one) {
  const found = one.name.length > 30 ? /\((.*)\)$/.exec(one.name) : null;
  return found && h("p.help", null, icon("warn", 13), " ", found[1]);
}

/** @param {Provider} one */
function badge(one) {
  if ((state.form.provider_api_keys[one.id] ?? []).some(Boolean)) return h("span.badge", null, h("span.dot.on"), t("provider.has.key"));
  if (one.local) return h("span.badge", null, t("provider.local"));
  return ready(one) ? h("span.badge", null, t("provider.shared.key")) : null;
}

/** @param {Provider} one @param {() => void} redraw */
function details(one, redraw) {
  const site = one.key_url && h("a.out", { href: one.key_url, target: "_blank", rel: "noreferrer noopener" }, t("provider.get.key"), icon("link", 13));
  return h(
    "div.card-more",
    null,
    addressField(one, one.id === CUSTOM ? "custom-upstream" : `address-${one.id}`),
    h("div.row-head", null, h("span.label", null, one.local ? t("provider.key.optional") : t("provider.key")), site),
    keyPool(one.id, one.name, redraw),
    facts(one),
  );
}

/** @param {Provider} one */
function facts(one) {
  const models = one.models.slice(0, 4).map((model) =>
    h("li", null, h("code", null, model.id), h("span", null, size(model.context_window)), model.id === one.default_model && h("em", null, t("model.default"))),
  );
  return models.length > 0 && h("ul.mini", null, models);
}
