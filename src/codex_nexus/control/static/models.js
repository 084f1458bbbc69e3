// What a provider serves, asked for now: window, price, and a click to use it.

import { fill, h } from "./dom.js";
import { count, money, size } from "./format.js";
import { t } from "./i18n.js";
import { asked, tryKey } from "./keys.js";
import { ask } from "./playground.js";
import { addRoute } from "./routing.js";
import { provider, ready, state } from "./store.js";
import { busy, button, section, select, sentence, textInput } from "./widgets.js";

/** @typedef {import("./store.js").Model} Model */

const MOST = 300;
let chosen = "";
let filter = "";

export function models() {
  chosen = provider(chosen)?.id ?? state.form.provider;
  const result = h("div.models", { "aria-live": "polite" });
  const draw = () => fill(result, ...listed(draw));
  const probe = async (/** @type {any} */ event) => {
    const now = chosen;
    fill(result, h("p.empty", null, t("models.asking", { name: provider(now)?.name ?? now })));
    try {
      const found = await busy(event.currentTarget, () => tryKey(now, firstKey(now)));
      draw();
      result.append(h("p.note", null, asked(found.way)));
    } catch (error) {
      fill(result, h("p.refused", { role: "alert" }, sentence(error), " ", asked(/** @type {any} */ (error).way)), missingKey(now));
    }
  };
  const where = select(chosen, order(), (id) => ((chosen = id), (filter = ""), draw()), { "aria-label": t("route.provider"), "data-key": "probe-provider" });
  draw();
  const element = h(
    "div.area",
    null,
    h("h1", null, t("nav.models")),
    h("p.lead", null, t("models.lead")),
    h("div.toolbar", null, where, button(t("probe"), probe, { kind: "primary", icon: "models", key: "probe" })),
    section(t("models.list"), [result]),
  );
  return { element };
}

/** @param {string} id */
function firstKey(id) {
  return (state.form.provider_api_keys[id] ?? []).find(Boolean) ?? "";
}

/** @param {string} id */
function missingKey(id) {
  const one = provider(id);
  return one && !ready(one) && h("p", null, h("a", { href: "#/providers" }, t("models.give.key")));
}

/** @returns {[string, string][]} */
function order() {
  const able = state.providers.filter(ready);
  return [...able, ...state.providers.filter((one) => !ready(one))].map((one) => [one.id, one.name]);
}

/** @param {() => void} draw */
function listed(draw) {
  const all = state.probed[chosen];
  const known = all ?? provider(chosen)?.models ?? [];
  if (!known.length) return [h("p.empty", null, t(all ? "models.none" : "models.ask"))];
  const words = filter.toLowerCase();
  const found = known.filter((model) => model.id.toLowerCase().includes(words));
  const body = h("tbody", null, found.slice(0, MOST).map(line));
  const names = ["id", "window", "price", "use"].map((name) => h("th", { scope: "col", class: `m-${name}` }, t(`models.${name}`)));
  const table = h("table.list", null, h("thead", null, h("tr", null, names)), body);
  const source = t(all ? "models.live" : "models.shipped", { n: count(known.length) });
  const search = textInput(filter, (text) => ((filter = text), draw()), { type: "search", placeholder: t("models.filter"), "aria-label": t("models.filter"), "data-key": "model-filter" });
  return [h("div.toolbar", null, search, h("span.note", null, source)), h("div.table-box", { tabindex: "0", role: "group", "aria-label": t("models.list") }, table), !found.length && h("p.empty", null, t("models.no.match"))];
}

/** @param {Model} model */
function line(model) {
  const one = provider(chosen);
  const isDefault = one?.default_model === model.id;
  return h(
    "tr",
    null,
    h("td.m-id", null, h("code", null, model.id), isDefault && h("em", null, t("model.default")), model.images && h("em", null, t("models.images"))),
    h("td.m-window", null, size(model.context_window)),
    h("td.m-price", null, money(model.price)),
    h("td.m-use", null, button(t("models.map"), () => use(model), { kind: "quiet", icon: "add", title: t("models.map.title", { id: model.id }) }), button(t("models.try"), () => ask(`${chosen}/${model.id}`), { kind: "quiet", icon: "playground", title: t("models.try.title", { id: model.id }) })),
  );
}

/** A click takes the model into the routing table. @param {Model} model */
function use(model) {
  const free = codexNames().find((name) => !state.form.routes.some((/** @type {any} */ row) => row.name === name));
  addRoute({ name: free ?? "", provider: chosen, model: model.id });
  location.hash = "#/routing";
}

function codexNames() {
  return state.codexModels.map((one) => one.name);
}
