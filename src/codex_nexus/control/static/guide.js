// The first visit: choose a provider, give a key, see an answer stream.

import { addressField, lacksAddress } from "./addresses.js";
import { choosing, heading, look, wantsKey } from "./choices.js";
import { fill, h } from "./dom.js";
import { wayIn } from "./farewell.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { asked, keyField, tryKey } from "./keys.js";
import { answerView } from "./playground.js";
import { CUSTOM, knownModels, on, provider, ready, save, state, touched } from "./store.js";
import { busy, button, datalist, field, sentence, textInput } from "./widgets.js";

const LEFT = "nexus-guide-left";

let step = 1;
let under = false;
let model = "";
/** The model that a send has made Codex's first choice. */
let kept = "";
/** What step 3 shows; it outlives a redraw of the page. @type {ReturnType<typeof answerView> | null} */
let view = null;
let answered = false;
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
    [step, under, view, answered, kept] = [1, false, null, false, ""];
    leave();
  };
  const foot = h("p.guide-foot", null, button(t("guide.leave"), end, { kind: "quiet", key: "leave" }));
  const draw = () => {
    foot.hidden = step === 3 && answered;
    fill(steps, ...[1, 2, 3].map((n) => h("li", { class: n < step ? "done" : n === step ? "now" : "", "aria-current": n === step ? "step" : undefined }, h("span", null, n < step ? icon("check", 13) : n), t(`guide.step${n}`))));
    fill(body, ...[() => choosing(pick, redraw), keying, testing][step - 1](end));
  };
  redraw = draw;
  draw();
  look(() => step === 1 && redraw());
  const unlisten = on("status", () => step === 3 && answered && farewell(end));
  const element = h("div.guide", null, h("header", null, h("h1", null, t("guide.title")), h("p.lead", null, t("guide.lead"))), steps, body, foot);
  return { element, end: unlisten };
}

/** @param {number} to */
function go(to) {
  step = to;
  redraw();
  const first = document.querySelector(".guide-body [data-first]") ?? document.querySelector(".guide-body h2");
  /** @type {HTMLElement | null} */ (first)?.focus();
}

/** @param {string} id @param {string} first Its model to begin with. */
function pick(id, first) {
  state.form.provider = id;
  model = first;
  touched();
  go(2);
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
  const key = keyField({ value: (state.form.provider_api_keys[id] ?? [""])[0], changed: put, label: t("key.label", { name: one.name }), key: "guide-key", provider: () => id });
  const place = addressField(one, "guide-base");
  const next = button(t("guide.on"), () => goOn(one, true), { kind: "primary", key: "guide-on" });
  const anyway = button(t("guide.anyway"), () => goOn(one, false), { key: "guide-anyway" });
  anyway.hidden = true;
  const goOn = async (/** @type {import("./store.js").Provider} */ chosen, /** @type {boolean} */ checks) => {
    note.hidden = anyway.hidden = true;
    try {
      await busy(checks ? next : anyway, () => settle(chosen, checks));
      go(3);
    } catch (error) {
      note.hidden = false;
      anyway.hidden = !mayBeWell(error);
      fill(note, ...complaint(one, error));
    }
  };
  const entered = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && event.target instanceof HTMLInputElement) next.click();
  };
  /** @type {HTMLElement | null} */ ((lacksAddress(one) && place ? place : key).querySelector("input"))?.setAttribute("data-first", "");
  return [
    heading(id === CUSTOM ? t("guide.address") : one.local && !wantsKey(id) ? t("guide.key.local", { name: one.name }) : t("guide.key", { name: one.name })),
    h("div.guide-form", { onkeydown: entered }, place, h("div.row-head", null, h("span.label", null, t(one.local ? "provider.key.optional" : "provider.key")), one.key_url && h("a.out", { href: one.key_url, target: "_blank", rel: "noreferrer noopener" }, t("provider.get.key"), icon("link", 13))), key),
    h("p.help", null, t("guide.key.help", { path: state.meta.path })),
    note,
    h("div.actions", null, button(t("back"), () => go(1), { kind: "quiet" }), next, anyway),
  ];
}

/** Whether the key may be good all the same: it could only not be tried. @param {any} error */
function mayBeWell(error) {
  return error.status === 502 && error.code !== "auth";
}

/** @param {import("./store.js").Provider} one @param {any} error */
function complaint(one, error) {
  const more = (error.problems ?? []).map((/** @type {any} */ problem) => problem.message);
  if (mayBeWell(error)) more.push(t("guide.unchecked"));
  else if (error.code === "auth" && Object.keys(one.other_addresses).length) more.push(t("guide.elsewhere"));
  if (mayBeWell(error)) more.push(asked(error.way));
  return [sentence(error), ...more.map((/** @type {string} */ text) => h("span.help", null, text))];
}

/** Saves and applies what was chosen; the provider's list tells which model to ask. @param {import("./store.js").Provider} one @param {boolean} checks */
async function settle(one, checks) {
  if (lacksAddress(one)) throw new Error(t("guide.no.address"));
  if (!ready(one)) throw new Error(t("guide.no.key"));
  if (checks) await tryKey(one.id, (state.form.provider_api_keys[one.id] ?? [""])[0]);
  model ||= one.default_model || (state.probed[one.id] ?? [])[0]?.id || "";
  view = null;
  answered = false;
  if (!(await save(true))) throw new Error(state.problems.map((problem) => problem.message).join(" "));
}

// --- 3

/** @param {() => void} end */
function testing(end) {
  const id = state.form.provider;
  view = answerView(view);
  const names = datalist(knownModels(id));
  const send = async () => {
    try {
      await keepModel(id);
    } catch (error) {
      return fill(/** @type {Element} */ (document.querySelector(".ready")), sentence(error));
    }
    const shown = /** @type {NonNullable<typeof view>} */ (view);
    answered = false;
    farewell(end);
    const pressed = document.querySelector("[data-key=guide-send]") ?? {};
    answered = await busy(pressed, () => shown.run({ model: `${id}/${model}`, message: t("guide.message") }, new AbortController().signal));
    farewell(end);
  };
  const which = textInput(model, (text) => (model = text.trim()), { class: "mono", list: names.id, "data-key": "guide-model" });
  const press = button(t("guide.send"), send, { kind: "primary", icon: "send", key: "guide-send" });
  press.dataset.first = "";
  return [
    heading(t("guide.test")),
    field(t("play.model"), h("div.input-group", null, which, names), { help: t("guide.model.help") }),
    h("div.said", null, t("guide.message")),
    h("div.actions", null, button(t("back"), () => go(2), { kind: "quiet" }), press),
    view.answer,
    view.facts,
    h("div.ready", { hidden: !answered }, answered && wayIn(model, end)),
  ];
}

/** Shows, or hides, how Codex is started now. @param {() => void} end */
function farewell(end) {
  const box = /** @type {HTMLElement | null} */ (document.querySelector(".guide .ready"));
  if (!box) return;
  box.hidden = !answered;
  /** @type {HTMLElement} */ (document.querySelector(".guide-foot")).hidden = answered;
  const before = `${answered} ${state.status?.injection.state}`;
  if (box.dataset.shown !== before) fill(box, answered && wayIn(model, end));
  box.dataset.shown = before;
}

/** The model that answers here is the one that Codex begins with. @param {string} id */
async function keepModel(id) {
  const wished = model === provider(id)?.default_model ? "" : model;
  if (wished === kept) return;
  const others = state.form.routes.filter((/** @type {any} */ row) => row.name !== kept && row.name !== wished);
  const row = { name: wished, provider: id, model: wished, api_key: "", fallbacks: [] };
  state.form.routes = wished ? [row, ...others] : others;
  kept = wished;
  await save(true);
}
