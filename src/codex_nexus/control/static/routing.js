// The routing table: which Codex model name goes to which provider and model, in which order.

import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { keyField, tryKey } from "./keys.js";
import { emit, knownModels, on, provider, ready, state, touched } from "./store.js";
import { busy, button, datalist, field, iconButton, section, select, sentence, textInput, toast } from "./widgets.js";

/** @typedef {import("./store.js").RouteRow} RouteRow */

/** @type {Set<RouteRow>} */
const opened = new Set();
let mappingOf = "";

/** Adds a row to the draft; the routing area shows it. @param {Partial<RouteRow>} [start] */
export function addRoute(start = {}) {
  const row = { name: "", provider: state.form.provider, model: "", api_key: "", fallbacks: [], ...start };
  state.form.routes.push(row);
  touched();
  return row;
}

export function routing() {
  const table = h("div.routes", { role: "list" });
  const names = datalist([]);
  const rest = h("div");
  const draw = () => {
    fill(names, ...suggested().map((name) => h("option", { value: name })));
    fill(table, ...state.form.routes.map((/** @type {RouteRow} */ row, /** @type {number} */ n) => line(row, n, names.id, draw)), !state.form.routes.length && h("p.empty", null, t("routes.none")));
  };
  const drawRest = () => fill(rest, mapping(drawRest));
  draw();
  drawRest();
  const add = () => {
    addRoute();
    draw();
    /** @type {HTMLInputElement | null} */ (table.querySelector(".route-row:last-child input"))?.focus();
  };
  const aside = button(t("route.add"), add, { kind: "primary", icon: "add", key: "add-route" });
  const element = h(
    "div.area",
    null,
    h("h1", null, t("nav.routing")),
    h("p.lead", null, t("routes.lead")),
    section(t("routes"), [table, names], { aside }),
    section(t("mapping"), [rest], { lead: t("mapping.lead"), class: "boxed" }),
  );
  return { element, end: on("names", draw) };
}

function suggested() {
  return [...new Set([...state.codexModels.map((one) => one.name), ...state.providers.flatMap((one) => Object.keys(one.mapping))])];
}

/** @param {RouteRow} row @param {number} n @param {string} names @param {() => void} draw */
function line(row, n, names, draw) {
  const models = datalist(knownModels(row.provider));
  const path = (/** @type {string} */ key) => (key === "name" ? `routes[${n}].name` : `model_routes.${row.name.trim()}.${key}`);
  const put = (/** @type {keyof RouteRow} */ key) => (/** @type {any} */ value) => {
    /** @type {any} */ (row)[key] = value;
    touched();
  };
  const name = textInput(row.name, put("name"), { class: "mono", list: names, placeholder: "gpt-5.5", "data-key": `route-${n}-name` });
  const where = select(row.provider, choices(), (value) => (put("provider")(value), draw()), { "data-key": `route-${n}-provider` });
  const model = textInput(row.model, put("model"), {
    class: "mono",
    list: models.id,
    placeholder: provider(row.provider)?.default_model || t("route.model.any"),
    "data-key": `route-${n}-model`,
    onfocus: () => complete(row.provider, models),
  });
  const unfold = () => (opened.has(row) ? opened.delete(row) : opened.add(row), draw());
  const extras = (row.api_key ? 1 : 0) + row.fallbacks.length;
  return h(
    "div.route-row",
    { role: "listitem", class: opened.has(row) ? "is-open" : "" },
    field(t("route.name"), name, { path: path("name") }),
    h("span.arrow", { "aria-hidden": "true" }, "→"),
    field(t("route.provider"), where, { path: path("provider") }),
    field(t("route.model"), h("div.input-group", null, model, models), { path: path("model") }),
    h(
      "div.row-tools",
      null,
      iconButton("up", t("route.up", { name: row.name }), () => move(n, -1, draw), { disabled: n === 0, "data-key": `route-${n}-up` }),
      iconButton("down", t("route.down", { name: row.name }), () => move(n, 1, draw), { disabled: n === state.form.routes.length - 1, "data-key": `route-${n}-down` }),
      h("button.icon-button", { type: "button", "aria-expanded": String(opened.has(row)), "data-key": `route-${n}-more`, onclick: unfold, title: t("route.more") }, extras ? h("span", null, `+${extras}`) : icon("more"), h("span.sr", null, t("route.more"))),
      iconButton("remove", t("route.delete", { name: row.name }), () => drop(n, draw), { "data-key": `route-${n}-delete` }),
    ),
    opened.has(row) && more(row, n, path, draw),
  );
}

/** @returns {[string, string][]} */
function choices() {
  const able = state.providers.filter((one) => ready(one));
  const others = state.providers.filter((one) => !ready(one));
  return [...able, ...others].map((one) => [one.id, ready(one) ? one.name.replace(/\s*\(takes.*\)$/, "") : `${one.name.replace(/\s*\(takes.*\)$/, "")} · ${t("route.no.key")}`]);
}

/** Completion from the provider itself, once. @param {string} id @param {HTMLElement} list */
async function complete(id, list) {
  const one = provider(id);
  if (!one || state.probed[id] || !ready(one)) return;
  state.probed[id] = one.models;
  await tryKey(id, "").catch(() => delete state.probed[id]);
  fill(list, ...knownModels(id).map((value) => h("option", { value })));
}

/** @param {number} n @param {number} by @param {() => void} draw */
function move(n, by, draw) {
  const rows = state.form.routes;
  [rows[n], rows[n + by]] = [rows[n + by], rows[n]];
  touched();
  draw();
  const there = document.querySelector(`[data-key="route-${n + by}-${by < 0 ? "up" : "down"}"]:not(:disabled)`);
  /** @type {HTMLElement | null} */ (there ?? document.querySelector(`[data-key="route-${n + by}-more"]`))?.focus();
}

/** @param {number} n @param {() => void} draw */
function drop(n, draw) {
  const [row] = state.form.routes.splice(n, 1);
  touched();
  draw();
  const next = document.querySelector(`[data-key="route-${Math.max(0, n - 1)}-delete"]`) ?? document.querySelector('[data-key="add-route"]');
  /** @type {HTMLElement | null} */ (next)?.focus();
  if (row.name) toast(t("route.deleted", { name: row.name }));
}

/** @param {RouteRow} row @param {number} n @param {(key: string) => string} path @param {() => void} draw */
function more(row, n, path, draw) {
  const key = keyField({
    value: row.api_key,
    changed: (text) => ((row.api_key = text), touched()),
    label: t("route.key"),
    key: `route-${n}-key`,
    path: path("api_key"),
    provider: () => row.provider,
    test: true,
    remove: row.api_key ? () => ((row.api_key = ""), touched(), draw()) : undefined,
  });
  const add = () => (row.fallbacks.push({ provider: state.form.provider, model: "" }), touched(), draw());
  return h(
    "div.route-more",
    null,
    h("div", null, h("span.label", null, t("route.key")), key, h("p.help", null, t("route.key.help"))),
    h("div", null, h("span.label", null, t("route.fallbacks")), h("p.help", null, t("route.fallbacks.help")), row.fallbacks.map((_, m) => fallback(row, n, m, draw)), button(t("route.fallback.add"), add, { kind: "quiet", icon: "add", key: `route-${n}-fallback-add` })),
  );
}

/** @param {RouteRow} row @param {number} n @param {number} m @param {() => void} draw */
function fallback(row, n, m, draw) {
  const target = row.fallbacks[m];
  const models = datalist(knownModels(target.provider));
  const at = `model_routes.${row.name.trim()}.fallbacks[${m}]`;
  const where = select(target.provider, choices(), (value) => ((target.provider = value), touched(), draw()), { "aria-label": t("route.provider"), "data-path": `${at}.provider`, "data-key": `route-${n}-fallback-${m}` });
  const model = textInput(target.model, (text) => ((target.model = text), touched()), { class: "mono", list: models.id, "aria-label": t("route.model"), placeholder: provider(target.provider)?.default_model ?? "", onfocus: () => complete(target.provider, models) });
  const remove = () => (row.fallbacks.splice(m, 1), touched(), draw());
  return h("div.fallback", null, h("span.order", null, m + 2), where, model, models, iconButton("remove", t("route.fallback.remove"), remove));
}

/** Names that no route claims: the default provider's own mapping, and the changes to it. @param {() => void} draw */
function mapping(draw) {
  mappingOf = provider(mappingOf)?.id ?? state.form.provider;
  const one = provider(mappingOf);
  const own = one?.mapping ?? {};
  const changed = state.form.model_overrides[mappingOf] ?? {};
  const names = [...new Set([...Object.keys(changed), ...Object.keys(own)])];
  const put = (/** @type {string} */ name, /** @type {string} */ model) => {
    const all = (state.form.model_overrides[mappingOf] ??= {});
    if (model.trim()) all[name] = model.trim();
    else delete all[name];
    if (!Object.keys(all).length) delete state.form.model_overrides[mappingOf];
    touched();
  };
  const models = datalist(knownModels(mappingOf));
  const row = (/** @type {string} */ name) =>
    h("div.map-row", null, h("code", null, name), h("span.arrow", { "aria-hidden": "true" }, "→"), textInput(changed[name] ?? "", (text) => put(name, text), { class: "mono", list: models.id, placeholder: own[name] ?? "", "aria-label": t("mapping.model", { name }), onfocus: () => complete(mappingOf, models) }));
  const which = select(mappingOf, choices(), (id) => ((mappingOf = id), draw()), { "aria-label": t("route.provider"), "data-key": "mapping-provider" });
  return [h("div.toolbar", null, which, probeButton(draw)), models, h("div.map", null, names.map(row)), !names.length && h("p.empty", null, one?.default_model ? t("mapping.none", { model: one.default_model }) : t("mapping.first"))];
}

/** @param {() => void} draw */
function probeButton(draw) {
  const probe = async (/** @type {any} */ event) => {
    try {
      const found = await busy(event.currentTarget, () => tryKey(mappingOf, ""));
      toast(t("models.found", { n: found.models.length }));
      emit("names");
      draw();
    } catch (error) {
      toast(sentence(error), "bad");
    }
  };
  return button(t("probe"), probe, { icon: "models", key: "mapping-probe" });
}
