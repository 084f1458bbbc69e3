// Settings: ports and addresses, Codex, limits, network, language; and the two things that ask first.

import { post } from "./api.js";
import { h } from "./dom.js";
import { choose, t } from "./i18n.js";
import { icon } from "./icons.js";
import { keyField } from "./keys.js";
import { emit, state, take, touched } from "./store.js";
import { ask, button, field, section, select, sentence, textInput, toast, toggle } from "./widgets.js";

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

export function settings() {
  const element = h(
    "div.area.settings",
    null,
    h("h1", null, t("nav.settings")),
    fileNotes(),
    section(t("set.gateway"), [h("div.fields", null, port(), host(), text("vision_model", "provider/model")), switches("autostart_nexus")], { class: "boxed" }),
    section(t("set.codex"), [switches("codex_config_auto", "codex_config_switch_default", "codex_auth_json")], { class: "boxed" }),
    section(t("set.access"), [access()], { class: "boxed" }),
    section(t("set.limits"), [h("div.fields", null, number("body_limit_mb"), number("retention_days"), number("store_limit_mb"), number("traces"), text("store", "sqlite:///…")), budgets()], { class: "boxed" }),
    section(t("set.network"), [network()], { class: "boxed" }),
    section(t("set.language"), [languages()], { class: "boxed" }),
    section(t("set.danger"), [danger()], { class: "boxed danger-zone" }),
  );
  return { element };
}

function fileNotes() {
  const { problems = [], unknown = [] } = state.meta;
  return [
    problems.length > 0 && h("div.notice.bad", { role: "alert" }, icon("warn"), h("div", null, h("p", null, t("file.problems", { path: state.meta.path })), h("ul", null, problems.map((/** @type {string} */ one) => h("li", null, one))))),
    unknown.length > 0 && h("div.notice", null, icon("warn"), h("p", null, t("file.unknown", { names: unknown.join(", ") }))),
  ];
}

/** @param {string} name @param {any} value */
function put(name, value) {
  state.form[name] = value;
  touched();
}

/** @param {string} name */
function overridden(name) {
  const value = state.meta.overridden?.[name];
  return value === undefined ? null : h("p.warning", null, icon("warn", 14), t("set.overridden", { value }));
}

/** @param {string} name @param {any} [note] */
function number(name, note) {
  const typed = (/** @type {string} */ value) => put(name, value.trim() === "" ? null : Number(value));
  const input = textInput(state.form[name], typed, { type: "number", step: "1", min: "0", inputmode: "numeric", "data-key": name, class: "mono" });
  return field(t(`key.${name}`), input, { help: t(`help.${name}`), path: name, note });
}

/** @param {string} name @param {string} placeholder @param {any} [note] */
function text(name, placeholder, note) {
  const input = textInput(state.form[name], (value) => put(name, value.trim()), { class: "mono", placeholder, "data-key": name });
  return field(t(`key.${name}`), input, { help: t(`help.${name}`), path: name, note });
}

function port() {
  return number("port", overridden("port"));
}

function host() {
  const warning = h("p.warning", { role: "alert" });
  const judge = () => {
    const open = !LOOPBACK.test(state.form.host.trim());
    warning.hidden = !open;
    warning.replaceChildren(icon("warn", 14), t("set.host.warning"));
  };
  const typed = (/** @type {string} */ value) => {
    put("host", value.trim());
    judge();
  };
  judge();
  const input = textInput(state.form.host, typed, { class: "mono", "data-key": "host", placeholder: "127.0.0.1" });
  return field(t("key.host"), input, { help: t("help.host"), path: "host", note: [warning, overridden("host")] });
}

/** @param {...string} names */
function switches(...names) {
  return h("div.toggles", null, names.map((name) => toggle(state.form[name], t(`key.${name}`), t(`help.${name}`), (value) => put(name, value), name)));
}

function access() {
  const redraw = () => emit("config");
  const token = keyField({
    value: state.form.access_token,
    changed: (value) => put("access_token", value),
    label: t("key.access_token"),
    key: "access-token",
    path: "access_token",
    remove: state.form.access_token ? () => (put("access_token", ""), redraw()) : undefined,
  });
  const origins = textInput(state.form.allowed_origins.join(", "), (value) => put("allowed_origins", value.split(/[\s,]+/).filter(Boolean)), { class: "mono", placeholder: "https://example.org", "data-key": "allowed_origins" });
  return h("div.fields", null, h("div.field", null, h("span.label", null, t("key.access_token")), token, h("p.help", null, t("help.access_token"))), field(t("key.allowed_origins"), origins, { help: t("help.allowed_origins"), path: "allowed_origins" }));
}

function network() {
  /** @type {[string, string][]} */
  const inner = [["retry", "attempts"], ["retry", "base_delay_s"], ["timeouts", "connect_s"], ["timeouts", "first_byte_s"], ["timeouts", "idle_s"]];
  const one = (/** @type {[string, string]} */ [group, name]) => {
    const typed = (/** @type {string} */ value) => {
      state.form[group][name] = value.trim() === "" ? state.meta.defaults[group][name] : Number(value);
      touched();
    };
    const input = textInput(state.form[group][name], typed, { type: "number", step: "any", min: "0", class: "mono", placeholder: t("set.providers.own"), "data-key": `${group}-${name}` });
    return field(t(`key.${group}.${name}`), input, { path: `${group}.${name}` });
  };
  return [h("div.fields", null, text("outbound_proxy", "socks5://127.0.0.1:1080")), h("div.fields.narrow", null, inner.map(one)), proxies()];
}

/** Proxies of single providers, one a line. */
function proxies() {
  const shown = Object.entries(state.form.provider_proxies).map(([id, url]) => `${id} ${url}`).join("\n");
  const typed = (/** @type {any} */ event) => {
    const pairs = event.target.value.split("\n").map((/** @type {string} */ line) => line.trim().split(/\s+/)).filter((/** @type {string[]} */ pair) => pair.length === 2);
    put("provider_proxies", Object.fromEntries(pairs));
  };
  const input = h("textarea.input.mono", { rows: 2, value: shown, oninput: typed, spellcheck: "false", placeholder: "custom direct", "data-key": "provider_proxies" });
  return field(t("key.provider_proxies"), input, { help: t("help.provider_proxies"), path: "provider_proxies" });
}

/** Budgets, one a line; a line that is not finished yet limits nothing. */
function budgets() {
  const limits = Object.entries(/** @type {Record<string, Record<string, number>>} */ (state.form.budgets));
  const shown = limits.flatMap(([id, kinds]) => Object.entries(kinds).map(([kind, limit]) => `${id} ${kind} ${limit}`)).join("\n");
  const typed = (/** @type {any} */ event) => {
    /** @type {Record<string, Record<string, number>>} */
    const found = {};
    for (const line of event.target.value.split("\n")) {
      const [id, kind, limit] = line.trim().split(/\s+/);
      if (limit) found[id] = { ...found[id], [kind]: Number(limit) };
    }
    put("budgets", found);
  };
  const input = h("textarea.input.mono", { rows: 2, value: shown, oninput: typed, spellcheck: "false", placeholder: "deepseek tokens_per_day 5000000", "data-key": "budgets" });
  return field(t("key.budgets"), input, { help: t("help.budgets"), path: "budgets" });
}

function languages() {
  const words = /** @type {[string, string][]} */ ([["auto", t("language.auto")], ["en", "English"], ["zh", "中文"]]);
  const changed = (/** @type {string} */ name) => {
    put("language", name);
    if (name !== "auto") choose(name);
    emit("language");
  };
  return h("div.fields", null, field(t("key.language"), select(state.form.language, words, changed, { "data-key": "language-select" }), { help: t("help.language"), path: "language" }));
}

function danger() {
  return h(
    "div.danger-rows",
    null,
    h("div", null, h("p", null, h("b", null, t("reset")), h("span.help", null, t("reset.help"))), button(t("reset"), reset, { kind: "danger", key: "reset" })),
    h("div", null, h("p", null, h("b", null, t("stop")), h("span.help", null, t("stop.help"))), button(t("stop"), stop, { kind: "danger", icon: "power", key: "stop" })),
  );
}

async function reset() {
  if (!(await ask({ title: t("reset.title"), text: t("reset.text"), yes: t("reset"), danger: true }))) return;
  try {
    const body = await post("config/reset");
    take(body);
    toast(body.backup ? t("reset.done", { name: body.backup }) : t("reset.done.plain"));
  } catch (error) {
    toast(sentence(error), "bad");
  }
}

async function stop() {
  if (!(await ask({ title: t("stop.title"), text: t("stop.text"), yes: t("stop"), danger: true }))) return;
  try {
    await post("shutdown");
    state.stopped = true;
    emit("status");
    toast(t("stop.done"));
  } catch (error) {
    toast(sentence(error), "bad");
  }
}
