// Small parts that every area uses: fields, buttons, dialogs, short messages.

import { fill, freshId, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

/**
 * A button. `kind`: primary, danger, quiet or empty.
 * @param {string} label @param {(event: Event) => any} act
 * @param {{kind?: string, icon?: string, key?: string, title?: string, disabled?: boolean, id?: string}} [more]
 */
export function button(label, act, more = {}) {
  const props = {
    type: "button",
    class: more.kind ?? "",
    onclick: act,
    title: more.title,
    "data-key": more.key,
    id: more.id,
    disabled: more.disabled,
  };
  return h("button.button", props, more.icon && icon(more.icon), h("span", null, label));
}

/** A button that shows only its icon. @param {string} name @param {string} label @param {(event: Event) => any} act @param {Record<string, any>} [more] */
export function iconButton(name, label, act, more = {}) {
  return h("button.icon-button", { type: "button", "aria-label": label, title: label, onclick: act, ...more }, icon(name));
}

/** A button that is busy until its work is done. @param {any} element @param {() => Promise<any>} work */
export async function busy(element, work) {
  element.disabled = true;
  element.classList.add("is-busy");
  try {
    return await work();
  } finally {
    element.disabled = false;
    element.classList.remove("is-busy");
  }
}

/**
 * A field with its label and help.
 * @param {string} label @param {any} control @param {{help?: string, path?: string, note?: any}} [more]
 */
export function field(label, control, more = {}) {
  const id = freshId();
  const input = control.matches("input, select, textarea") ? control : control.querySelector("input, select, textarea");
  input.id ||= id;
  if (more.help) input.setAttribute("aria-describedby", `${id}-help`);
  if (more.path) input.dataset.path = more.path;
  const help = more.help && h("p.help", { id: `${id}-help` }, more.help);
  return h("div.field", null, h("label", { for: input.id }, label), control, help, more.note);
}

/** @param {any} value @param {(text: string) => void} changed @param {Record<string, any>} [more] */
export function textInput(value, changed, more = {}) {
  const typed = (/** @type {any} */ event) => changed(event.target.value);
  return h("input.input", { type: "text", autocomplete: "off", spellcheck: "false", value: value ?? "", oninput: typed, ...more });
}

/** @param {string} value @param {[string, string][]} choices @param {(value: string) => void} changed @param {Record<string, any>} [more] */
export function select(value, choices, changed, more = {}) {
  const options = choices.map(([id, label]) => h("option", { value: id, selected: id === value }, label));
  return h("select.input", { onchange: (/** @type {any} */ event) => changed(event.target.value), ...more }, options);
}

/** @param {boolean} value @param {string} label @param {string} help @param {(value: boolean) => void} changed @param {string} key */
export function toggle(value, label, help, changed, key) {
  const id = freshId();
  const box = h("input.switch", {
    type: "checkbox",
    role: "switch",
    id,
    checked: value,
    "aria-describedby": `${id}-help`,
    "data-key": key,
    onchange: (/** @type {any} */ event) => changed(event.target.checked),
  });
  const words = h("div", null, h("label", { for: id }, label), h("p.help", { id: `${id}-help` }, help));
  return h("div.toggle", null, box, words);
}

/** Completion for a text field. @param {string[]} values */
export function datalist(values) {
  const id = freshId();
  return h("datalist", { id }, values.map((value) => h("option", { value })));
}

/** @param {string} title @param {any[]} children @param {{aside?: any, class?: string, lead?: string}} [more] */
export function section(title, children, more = {}) {
  const id = freshId();
  const head = h("header.section-head", null, h("h2", { id }, title), more.aside);
  return h("section.section", { class: more.class ?? "", "aria-labelledby": id }, head, more.lead && h("p.lead", null, more.lead), children);
}

/** A short message that goes by itself. @param {string} text @param {string} [kind] */
export function toast(text, kind = "good") {
  const box = /** @type {HTMLElement} */ (document.getElementById("toasts"));
  const close = () => message.remove();
  const message = h("div.toast", { class: kind }, h("p", null, text), iconButton("remove", t("close"), close));
  box.append(message);
  while (box.children.length > 3) box.firstElementChild?.remove();
  setTimeout(close, kind === "bad" ? 12000 : 5000);
}

/** What an error says to a person. @param {any} error */
export function sentence(error) {
  return error?.code === "no_answer" ? t("unreachable") : error?.message || String(error);
}

/**
 * Asks before something that cannot be taken back.
 * @param {{title: string, text: string, yes: string, danger?: boolean}} words
 * @returns {Promise<boolean>}
 */
export function ask(words) {
  return new Promise((resolve) => {
    const id = freshId();
    const end = (/** @type {boolean} */ answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const dialog = h("dialog.dialog", { "aria-labelledby": id, oncancel: () => end(false) });
    const no = button(t("cancel"), () => end(false));
    const yes = button(words.yes, () => end(true), { kind: words.danger ? "danger" : "primary" });
    fill(dialog, h("h2", { id }, words.title), h("p", null, words.text), h("div.actions", null, no, yes));
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}

/** A path that breaks after its slashes. @param {string} text */
export function path(text) {
  return h("code.path", null, text.split(/(?<=[/\\])/).map((part) => [part, h("wbr")]));
}

/** An address or command with a button that copies it. @param {string} text @param {string} [label] */
export function copyable(text, label) {
  const copy = async () => {
    await navigator.clipboard.writeText(text).then(() => toast(t("copied")), () => toast(t("copy.refused"), "bad"));
  };
  return h("span.copyable", null, h("code", null, text), iconButton("copy", label ?? t("copy"), copy));
}
