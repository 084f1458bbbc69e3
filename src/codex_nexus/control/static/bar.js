// Unsaved changes: seen, protected, saved.

import { fill, h } from "./dom.js";
import { language, t } from "./i18n.js";
import { icon } from "./icons.js";
import { changes, discard, load, on, save, state } from "./store.js";
import { ask, busy, button, sentence, toast } from "./widgets.js";

/** @type {[RegExp, string][]} */
const AREA_OF = [
  [/^(provider|api_key|custom_upstream|provider_api_keys)\b/, "providers"],
  [/^(model_routes|routes|model_overrides)\b/, "routing"],
  [/./, "settings"],
];

let conflict = false;
/** @type {(() => void)[]} */
let ends = [];

/** The bar at the bottom; empty while everything is saved and applied. */
export function bar() {
  ends.forEach((end) => end());
  const element = h("aside.bar", { "aria-label": t("bar") });
  const paint = () => paintBar(element);
  let waiting = false;
  const painted = () => {
    const now = Boolean(state.status?.waiting_for_restart);
    if (now !== waiting) paint();
    waiting = now;
  };
  ends = [on("draft", paint), on("problems", () => (paint(), markProblems())), on("status", painted), on("config", markProblems)];
  paint();
  return element;
}

/** @param {HTMLElement} element */
function paintBar(element) {
  const names = changes();
  const waiting = state.status?.waiting_for_restart;
  element.hidden = !names.length && !waiting && !conflict;
  if (element.hidden) return fill(element);
  const said = names.length ? t("bar.unsaved", { what: listed(names) }) : t("bar.waiting");
  const words = h("div.bar-words", null, h("p", null, h("span.dot"), said), conflict && conflictNote(), problemList());
  fill(element, words, h("div.actions", null, names.length ? draftActions() : restartAction()));
}

/** @param {string[]} names */
function listed(names) {
  const words = names.map((name) => t(`key.${name}`));
  const few = words.length > 3 ? [...words.slice(0, 2), t("bar.more", { n: words.length - 2 })] : words;
  return new Intl.ListFormat(language(), { type: "conjunction" }).format(few);
}

function draftActions() {
  return [
    button(t("discard"), drop, { kind: "quiet", key: "discard" }),
    button(t("save"), (event) => saveNow(event, false), { key: "save" }),
    button(t("save.restart"), (event) => saveNow(event, true), { kind: "primary", key: "save-restart" }),
  ];
}

function restartAction() {
  return button(t("restart"), (event) => saveNow(event, true), { kind: "primary", key: "restart" });
}

function conflictNote() {
  const reload = async () => {
    conflict = false;
    await load(true);
    toast(t("conflict.loaded"));
  };
  return h("p.conflict", { role: "alert" }, icon("warn"), t("conflict"), " ", button(t("conflict.reload"), reload, { key: "reload" }));
}

function problemList() {
  if (!state.problems.length) return null;
  const line = (/** @type {import("./store.js").Problem} */ problem) =>
    h("li", null, h("a", { href: `#/${areaOf(problem.path)}` }, h("code", null, problem.path)), " ", spoken(problem.message));
  return h("div", { role: "alert" }, h("ul.problems", null, state.problems.map(line)));
}

/** @param {string} message */
function spoken(message) {
  return message === "empty" || message === "twice" ? t(`problem.${message}`) : message;
}

/** @param {string} path */
function areaOf(path) {
  return AREA_OF.find(([pattern]) => pattern.test(path))?.[1] ?? "settings";
}

/** Marks the fields that are wrong. */
export function markProblems() {
  for (const old of document.querySelectorAll("[aria-invalid]")) old.removeAttribute("aria-invalid");
  for (const note of document.querySelectorAll(".fault-note")) note.remove();
  for (const problem of state.problems) {
    const field = document.querySelector(`[data-path="${CSS.escape(problem.path)}"]`);
    if (!field) continue;
    field.setAttribute("aria-invalid", "true");
    (field.closest(".field") ?? field).append(h("p.fault-note", null, spoken(problem.message)));
  }
}

/** @param {Event | null} event @param {boolean} restart */
async function saveNow(event, restart) {
  const pressed = event?.currentTarget ?? document.querySelector(`[data-key="${restart ? "save-restart" : "save"}"]`);
  try {
    const good = await busy(pressed ?? {}, () => save(restart));
    if (!good) return;
    conflict = false;
    toast(t(restart ? "saved.applied" : "saved"));
    if (restart) follow();
  } catch (error) {
    conflict = /** @type {any} */ (error).status === 412;
    if (!conflict) toast(sentence(error), "bad");
  }
  const here = /** @type {HTMLElement | null} */ (document.querySelector("aside.bar"));
  if (here) paintBar(here);
}

/** The panel moves with the gateway's port: the page goes after it. */
function follow() {
  const panel = state.meta.panel;
  if (!panel || new URL(panel).port === location.port) return;
  toast(t("moved", { address: panel }));
  setTimeout(() => location.assign(`${location.protocol}//${location.hostname}:${new URL(panel).port}/${location.hash}`), 1200);
}

async function drop() {
  if (await ask({ title: t("discard.title"), text: t("discard.text"), yes: t("discard"), danger: true })) discard();
}

/** Ctrl+S saves; leaving with unsaved changes asks. */
export function guardKeys() {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
      event.preventDefault();
      if (changes().length) saveNow(null, event.shiftKey);
      else toast(t("nothing.to.save"));
    }
  });
  window.addEventListener("beforeunload", (event) => {
    if (changes().length && !state.stopped) event.preventDefault();
  });
}
