// Entering keys: hidden while typed, pasted, tried, removed. A saved key comes back as a mask only.

import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { CUSTOM, state, touched } from "./store.js";
import { busy, button, iconButton, sentence, textInput, toast } from "./widgets.js";

const MASK = "…";

/** @param {string} key */
export function isMask(key) {
  return key.includes(MASK);
}

/** @param {string} key */
export function isReference(key) {
  return /^(env|keyring):/.test(key);
}

/** A key as it was meant, without what comes along when one is copied. @param {string} text */
export function tidy(text) {
  const bare = text.trim().replace(/^["'“”‘’]+|["'“”‘’]+$/g, "");
  return bare.replace(/^Bearer\s+/i, "").replace(/\s+/g, "");
}

/**
 * One key: a mask with a way to replace it, or a field.
 * @param {{value: string, changed: (key: string) => void, label: string, key: string, path?: string,
 *   provider?: () => string, remove?: () => void, test?: boolean}} wanted
 */
export function keyField(wanted) {
  const element = h("div.key");
  const said = h("p.key-said", { role: "status" });
  const draw = (/** @type {boolean} */ editing) => fill(element, editing ? editor(wanted, said) : saved(wanted, said, () => draw(true)), said);
  draw(!wanted.value || !(isMask(wanted.value) || isReference(wanted.value)));
  return element;
}

/** @param {Parameters<typeof keyField>[0]} wanted @param {HTMLElement} said @param {() => void} edit */
function saved(wanted, said, edit) {
  const shown = isMask(wanted.value) ? `••••••${wanted.value.split(MASK)[1]}` : wanted.value;
  const replace = () => {
    edit();
    said.textContent = "";
  };
  return h(
    "div.key-row",
    null,
    h("code.key-mask", null, shown),
    wanted.test && tester(wanted, said),
    button(t("key.replace"), replace, { kind: "quiet", key: `${wanted.key}-replace` }),
    wanted.remove && iconButton("remove", t("key.remove"), wanted.remove, { "data-key": `${wanted.key}-remove` }),
  );
}

/** @param {Parameters<typeof keyField>[0]} wanted @param {HTMLElement} said */
function editor(wanted, said) {
  const start = isMask(wanted.value) ? "" : wanted.value;
  const input = textInput(start, (text) => wanted.changed(tidy(text)), {
    type: "password",
    class: "mono",
    "aria-label": wanted.label,
    placeholder: t("key.placeholder"),
    "data-key": wanted.key,
    "data-path": wanted.path,
    autocomplete: "new-password",
  });
  const show = iconButton("show", t("key.show"), () => reveal(input, show), { "aria-pressed": "false" });
  const paste = iconButton("paste", t("key.paste"), () => pasteInto(input, wanted.changed, said));
  const bring = h("div.input-group", null, input, show, paste);
  return h(
    "div.key-row",
    null,
    bring,
    wanted.test && tester(wanted, said),
    wanted.remove && iconButton("remove", t("key.remove"), wanted.remove, { "data-key": `${wanted.key}-remove` }),
  );
}

/** @param {HTMLInputElement} input @param {HTMLElement} show */
function reveal(input, show) {
  const hidden = input.type === "password";
  input.type = hidden ? "text" : "password";
  show.setAttribute("aria-pressed", String(hidden));
}

/** @param {HTMLInputElement} input @param {(key: string) => void} changed @param {HTMLElement} said */
async function pasteInto(input, changed, said) {
  try {
    input.value = tidy(await navigator.clipboard.readText());
    changed(input.value);
  } catch {
    said.textContent = t("key.paste.refused");
  }
  input.focus();
}

/** @param {Parameters<typeof keyField>[0]} wanted @param {HTMLElement} said */
function tester(wanted, said) {
  const test = async (/** @type {any} */ event) => {
    const row = event.currentTarget.closest(".key");
    const typed = tidy(row?.querySelector("input")?.value ?? "");
    said.className = "key-said";
    said.textContent = t("key.testing");
    try {
      const found = await busy(event.currentTarget, () => tryKey(wanted.provider?.() ?? "", typed || wanted.value));
      said.classList.add("good");
      fill(said, t("key.good", { n: found.models.length }), " ", asked(found.way));
    } catch (error) {
      said.classList.add("bad");
      fill(said, sentence(error), " ", asked(/** @type {any} */ (error).way));
    }
  };
  return button(t("key.test"), test, { key: `${wanted.key}-test` });
}

/** By which proxy a provider was asked, or that there was none, and who says so. @param {import("./api.js").Way} [way] */
export function asked(way) {
  if (!way) return "";
  return t(`way.${way.proxy ? "proxy" : way.why}`, { proxy: way.proxy, place: way.place || t("way.system") });
}

/** Asks a provider for its list with a key that may not be saved yet. @param {string} provider @param {string} key */
export async function tryKey(provider, key) {
  if (!isMask(key) && /[^\x21-\x7e]/.test(key)) throw new Error(t("key.signs"));
  const chosen = provider === CUSTOM ? state.form.custom_upstream : state.form.provider_addresses[provider];
  const body = await post("models", { provider, ...(key && !isMask(key) ? { key } : {}), ...(chosen ? { address: chosen } : {}) });
  state.probed[provider] = body.models;
  return body;
}

/** The keys of a provider: one, or a pool. @param {string} id @param {string} name @param {() => void} redraw */
export function keyPool(id, name, redraw) {
  const pools = state.form.provider_api_keys;
  const keys = pools[id] ?? [];
  const put = (/** @type {number} */ n, /** @type {string} */ key) => {
    pools[id] = pools[id] ?? [];
    pools[id][n] = key;
    if (!pools[id].some(Boolean)) delete pools[id];
    touched();
  };
  const drop = (/** @type {number} */ n) => {
    pools[id].splice(n, 1);
    if (!pools[id].length) delete pools[id];
    touched();
    redraw();
  };
  const rows = (keys.length ? keys : [""]).map((/** @type {string} */ value, /** @type {number} */ n) =>
    keyField({
      value,
      changed: (key) => put(n, key),
      label: t("key.label", { name }),
      key: `key-${id}-${n}`,
      path: `provider_api_keys.${id}`,
      provider: () => id,
      test: true,
      remove: value ? () => drop(n) : undefined,
    }),
  );
  const more = () => {
    pools[id] = [...keys, ""];
    redraw();
    toast(t("key.pool"));
  };
  const add = keys.filter(Boolean).length ? button(t("key.add"), more, { kind: "quiet", icon: "add", key: `key-${id}-add` }) : null;
  return h("div.keys", null, rows, add);
}
