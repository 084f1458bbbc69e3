// What the page knows: the configuration as it is saved, the draft over it, the status and the turns.

import { get, post } from "./api.js";
import { t } from "./i18n.js";
import { EN } from "./words-en.js";

/** @typedef {{provider: string, model: string}} Target */
/** @typedef {{name: string, provider: string, model: string, api_key: string, fallbacks: Target[]}} RouteRow */
/** @typedef {{id: string, name: string, context_window: number | null, images: boolean, price: number[] | null}} Model */
/**
 * @typedef {{id: string, name: string, address: string, other_addresses: Record<string, string>, local: boolean,
 *   key_url: string, has_key: boolean, shared_key: boolean, default_model: string,
 *   mapping: Record<string, string>, models: Model[]}} Provider
 */
/**
 * @typedef {{id: string, at: number, asked: string, upstream: string, client: string, status: string, seconds: number,
 *   input_tokens: number, cached_tokens: number, output_tokens: number, reasoning_tokens: number, fault: string,
 *   effort: string, effort_sent: string}} Turn
 */
/** @typedef {import("./api.js").Problem} Problem */

/** The provider whose address stands in the configuration itself. */
export const CUSTOM = "custom";

/**
 * @type {{form: any, saved: any, meta: any, providers: Provider[], problems: Problem[], status: any, linked: boolean,
 *   turns: Map<string, Turn>, codexModels: {name: string, provider: string, model: string}[],
 *   probed: Record<string, Model[]>, offset: number, stopped: boolean}}
 */
export const state = {
  form: null,
  saved: null,
  meta: {},
  providers: [],
  problems: [],
  status: null,
  linked: false,
  turns: new Map(),
  codexModels: [],
  probed: {},
  offset: 0,
  stopped: false,
};

/** @type {Map<string, Set<() => void>>} */
const listeners = new Map();

/** @param {string} topic @param {() => void} listener */
export function on(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, new Set());
  listeners.get(topic)?.add(listener);
  return () => listeners.get(topic)?.delete(listener);
}

/** @param {string} topic */
export function emit(topic) {
  for (const listener of [...(listeners.get(topic) ?? [])]) listener();
}

// --- the configuration

/** @param {any} config */
function toForm(config) {
  const { model_routes: routes, ...rest } = structuredClone(config);
  rest.routes = Object.entries(routes).map(([name, route]) => ({ name, .../** @type {any} */ (route) }));
  return rest;
}

/** The draft as the configuration file has it. */
export function wanted() {
  const { routes, ...rest } = structuredClone(state.form);
  for (const [id, keys] of Object.entries(rest.provider_api_keys)) {
    rest.provider_api_keys[id] = keys.filter(Boolean);
    if (!rest.provider_api_keys[id].length) delete rest.provider_api_keys[id];
  }
  for (const [id, names] of Object.entries(rest.model_overrides)) {
    if (!Object.keys(/** @type {any} */ (names)).length) delete rest.model_overrides[id];
  }
  rest.model_routes = {};
  for (const { name, ...route } of routes) rest.model_routes[name.trim()] = route;
  return rest;
}

/** Takes a configuration as the server tells it; a draft is kept when `keep` is true. @param {any} body @param {boolean} [keep] */
export function take(body, keep = false) {
  const { config, providers, ...meta } = body;
  state.meta = meta;
  state.providers = providers.map(named);
  state.form = keep && state.form ? merged(toForm(config)) : toForm(config);
  state.saved = toForm(config);
  state.problems = [];
  emit("config");
  emit("draft");
}

/** The one provider whose shipped name is a description is called in the language of the page. @param {Provider} one */
function named(one) {
  if (one.id !== CUSTOM || one.name !== EN["provider.custom"]) return one;
  return Object.defineProperty({ ...one }, "name", { get: () => t("provider.custom") });
}

/** The draft's own changes on top of what stands in the file now. @param {any} fresh */
function merged(fresh) {
  for (const key of changes()) fresh[key] = state.form[key];
  return fresh;
}

/** @param {boolean} [keep] */
export async function load(keep = false) {
  take(await get("config"), keep);
  loadNames();
}

/** The names that Codex asks for; the page works without them. */
function loadNames() {
  const taken = (/** @type {any} */ body) => {
    state.codexModels = body.models;
    emit("names");
  };
  get("codex-models").then(taken, () => {});
}

/** The names of the keys in which the draft differs. @returns {string[]} */
export function changes() {
  if (!state.form) return [];
  return Object.keys(state.form).filter((key) => JSON.stringify(state.form[key]) !== JSON.stringify(state.saved[key]));
}

/** Tells that the draft has changed. */
export function touched() {
  emit("draft");
}

export function discard() {
  state.form = structuredClone(state.saved);
  state.problems = [];
  emit("config");
  emit("draft");
}

/** What the page itself can see to be wrong. @returns {Problem[]} */
function ownProblems() {
  const names = state.form.routes.map((/** @type {RouteRow} */ row) => row.name.trim());
  return names.flatMap((/** @type {string} */ name, /** @type {number} */ n) => {
    if (!name) return [{ path: `routes[${n}].name`, message: "empty" }];
    return names.indexOf(name) < n ? [{ path: `routes[${n}].name`, message: "twice" }] : [];
  });
}

/** Saves the draft; `restart` applies it at once. @param {boolean} restart */
export async function save(restart) {
  state.problems = ownProblems();
  if (state.problems.length) {
    emit("problems");
    return false;
  }
  try {
    const body = await post("config", { config: wanted(), restart }, { "If-Match": state.meta.etag });
    take(body);
  } catch (error) {
    state.problems = /** @type {any} */ (error).problems ?? [];
    emit("problems");
    throw error;
  }
  loadNames();
  return true;
}

/** @param {string} id @returns {Provider | undefined} */
export function provider(id) {
  return state.providers.find((one) => one.id === id);
}

/** Whether a provider can be asked: it needs no key, or the draft has one. @param {Provider} one */
export function ready(one) {
  const keys = state.form.provider_api_keys[one.id] ?? [];
  if (one.id === CUSTOM) return Boolean(state.form.custom_upstream);
  return one.local || keys.some(Boolean) || Boolean(state.form.api_key);
}

/** Models of a provider that are known: from its record, and from a probe on this page. @param {string} id */
export function knownModels(id) {
  const ids = [...(state.probed[id] ?? []), ...(provider(id)?.models ?? [])].map((model) => model.id);
  return [...new Set(ids)];
}
