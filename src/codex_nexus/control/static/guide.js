// The first visit: choose a provider, give a key, see an answer stream.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { keyField, tryKey } from "./keys.js";
import { answerView } from "./playground.js";
import { CUSTOM, knownModels, provider, ready, save, state, touched } from "./store.js";
import { busy, button, copyable, datalist, field, sentence, textInput } from "./widgets.js";

const LEFT = "nexus-guide-left";
const FIRST = 10;

let step = 1;
let under = false;
let model = "";
/** @type {any[]} */
let found = [];
let looked = false;
let all = false;
/** Draws the step that is to be seen now. */
let redraw = () => {};

/** Whether the guide is to be shown: nothing was chosen yet, and nobody left it. */
export function wantsGuide() {
  return (under || state.meta.fresh) && !sessionStorage.getItem(LEFT);
}

/** @param {() => void} leave Called when the guide is over. */
export function guide(leave) {
  under = true;
  const body = h("div.guide-body");
  const steps = h("ol.guide-steps");
  const end = () => {
    sessionStorage.setItem(LEFT, "1");
    under = false;
    leave();
  };
  const draw = () => {
    fill(steps, ...[1, 2, 3].map((n) => h("li", { class: n < step ? "done" : n === step ? "now" : "", "aria-current": n === step ? "step" : undefined }, h("span", null, n < step ? icon("check", 13) : n), t(`guide.step${n}`))));
    fill(body, ...[choosing, keying, testing][step - 1](end));
  };
  redraw = draw;
  draw();
  if (!looked) look();
  const element = h("div.guide", null, h("header", null, h("h1", null, t("guide.title")), h("p.lead", null, t("guide.lead"))), steps, body, h("p.guide-foot", null, button(t("guide.leave"), end, { kind: "quiet", key: "leave" })));
  return { element };
}

/** Looks for providers that run on this machine. */
async function look() {
  looked = true;
  try {
    found = (await get("local")).providers;
  } catch {
    found = [];
  }
  if (step === 1 && found.length) redraw();
}

/** @param {number} to */
function go(to) {
  step = to;
  redraw();
  /** @type {HTMLElement | null} */ (document.querySelector(".guide-body h2"))?.focus();
}

/** @param {string} text */
function heading(text) {
  return h("h2", { tabindex: "-1" }, text);
}

// --- 1

function choosing() {
  const pick = (/** @type {string} */ id, /** @type {string} */ first) => {
    state.form.provider = id;
    model = first;
    touched();
    go(2);
  };
  const tile = (/** @type {import("./store.js").Provider} */ one) => h("button.tile", { type: "button", "data-provider": one.id, onclick: () => pick(one.id, one.default_model) }, h("b", null, one.name.replace(/\s*\(takes.*\)$/, "")), h("code", null, one.id === CUSTOM ? t("guide.custom") : host(one.address)));
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

/** @param {string} address */
function host(address) {
  return address.replace(/^https?:\/\//, "").split("/")[0];
}

// --- 2

function keying() {
  const id = state.form.provider;
  const one = provider(id);
  if (!one) return [];
  const note = h("p.refused", { role: "alert", hidden: true });
  const put = (/** @type {string} */ key) => {
    if (key) state.form.provider_api_keys[id] = [key];
    else delete state.form.provider_api_keys[id];
    touched();
  };
  const on = async (/** @type {any} */ event) => {
    note.hidden = true;
    try {
      await busy(event.currentTarget, () => goOn(one));
      go(3);
    } catch (error) {
      note.hidden = false;
      fill(note, sentence(error), ...(/** @type {any} */ (error).problems ?? []).map((/** @type {any} */ problem) => ` ${problem.message}`));
    }
  };
  const key = keyField({ value: (state.form.provider_api_keys[id] ?? [""])[0], changed: put, label: t("key.label", { name: one.name }), key: "guide-key", provider: () => id });
  const base = textInput(state.form.custom_upstream, (text) => ((state.form.custom_upstream = text.trim()), touched()), { class: "mono", type: "url", placeholder: "http://127.0.0.1:8000/v1", "data-key": "guide-base" });
  return [
    heading(one.local ? t("guide.key.local", { name: one.name }) : t("guide.key", { name: one.name })),
    id === CUSTOM && field(t("key.custom_upstream"), base, { help: t("help.custom_upstream") }),
    h("div.row-head", null, h("span.label", null, t(one.local ? "provider.key.optional" : "provider.key")), one.key_url && h("a.out", { href: one.key_url, target: "_blank", rel: "noreferrer noopener" }, t("provider.get.key"), icon("link", 13))),
    key,
    h("p.help", null, t("guide.key.help", { path: state.meta.path })),
    note,
    h("div.actions", null, button(t("back"), () => go(1), { kind: "quiet" }), button(t("guide.on"), on, { kind: "primary", key: "guide-on" })),
  ];
}

/** Saves and applies what was chosen; the provider's list tells which model to ask. @param {import("./store.js").Provider} one */
async function goOn(one) {
  if (!ready(one)) throw new Error(t(one.id === CUSTOM ? "guide.no.address" : "guide.no.key"));
  await tryKey(one.id, (state.form.provider_api_keys[one.id] ?? [""])[0]);
  model ||= one.default_model || (state.probed[one.id] ?? [])[0]?.id || "";
  if (!(await save(true))) throw new Error(state.problems.map((problem) => problem.message).join(" "));
}

// --- 3

/** @param {() => void} end */
function testing(end) {
  const id = state.form.provider;
  const view = answerView();
  const ready = h("div.ready", { hidden: true });
  const names = datalist(knownModels(id));
  const send = async (/** @type {any} */ event) => {
    ready.hidden = true;
    const good = await busy(event.currentTarget, () => view.run({ model: `${id}/${model}`, message: t("guide.message") }, new AbortController().signal));
    ready.hidden = !good;
    if (good) fill(ready, ...done(end));
  };
  const which = textInput(model, (text) => (model = text.trim()), { class: "mono", list: names.id, "data-key": "guide-model" });
  return [
    heading(t("guide.test")),
    field(t("play.model"), h("div.input-group", null, which, names)),
    h("div.said", null, t("guide.message")),
    h("div.actions", null, button(t("back"), () => go(2), { kind: "quiet" }), button(t("guide.send"), send, { kind: "primary", icon: "send", key: "guide-send" })),
    view.answer,
    view.facts,
    ready,
  ];
}

/** @param {() => void} end */
function done(end) {
  return [h("h3", null, icon("check", 20), t("guide.ready")), h("p", null, t("guide.ready.text")), h("div.commands", null, copyable("codex-nexus run -- codex"), h("p.help", null, t("guide.run.help")), copyable("codex -p nexus"), h("p.help", null, t("guide.profile.help"))), button(t("guide.done"), end, { kind: "primary", key: "guide-done" })];
}
