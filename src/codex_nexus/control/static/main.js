// The shell of the page: head, navigation, one area at a time, the bar of unsaved changes.

import { bar, guardKeys } from "./bar.js";
import { fill, h, tell } from "./dom.js";
import { follow } from "./feed.js";
import { guide, wantsGuide } from "./guide.js";
import { choose, isChinese, settle, t } from "./i18n.js";
import { icon, mark } from "./icons.js";
import { models } from "./models.js";
import { overview } from "./overview.js";
import { playground } from "./playground.js";
import { preview } from "./preview.js";
import { providers } from "./providers.js";
import { routing } from "./routing.js";
import { settings } from "./settings.js";
import { load, on, state } from "./store.js";
import { button, sentence } from "./widgets.js";

/** @type {Record<string, () => {element: Element, end?: () => void}>} */
const AREAS = { overview, providers, routing, models, playground, preview, settings };

/** @type {(() => void) | undefined} */
let endOfArea;

function area() {
  const named = location.hash.replace(/^#\/?/, "").split("?")[0];
  return named in AREAS ? named : "overview";
}

function shell() {
  const main = h("main", { id: "main", tabindex: "-1" });
  fill(
    app(),
    h("a.skip", { href: "#main", onclick: skip }, t("skip")),
    head(),
    navigation(),
    main,
    bar(),
    h("div", { id: "toasts", role: "status", "aria-live": "polite" }),
  );
  show();
}

function app() {
  return /** @type {HTMLElement} */ (document.getElementById("app"));
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function head() {
  const brand = h("a.brand", { href: "#/overview" }, mark(), h("span", null, "Codex ", h("b", null, "Nexus")));
  const other = isChinese() ? "en" : "zh";
  const language = h(
    "button.language",
    { type: "button", "data-key": "language", lang: other === "zh" ? "zh-CN" : "en", onclick: () => speak(other) },
    h("span", { class: isChinese() ? "" : "chosen" }, "EN"),
    h("span", { class: isChinese() ? "chosen" : "" }, "中文"),
    h("i.sr", null, t("language.switch")),
  );
  return h("header.top", null, brand, pill(), language);
}

/** @param {string} name */
function speak(name) {
  choose(name);
  begin();
}

/** The state of the service in a few words, always in sight. */
function pill() {
  const text = h("span.pill-text");
  const address = h("code.pill-address");
  const element = h("div.pill", { role: "status" }, h("span.dot"), text, address);
  const paint = () => {
    const kind = !state.linked ? "lost" : state.status.running ? "live" : "waiting";
    element.dataset.state = state.stopped ? "stopped" : kind;
    tell(text, t(state.stopped ? "state.stopped" : `state.${kind}`));
    tell(address, state.linked && state.status.running ? state.status.address.replace("http://", "") : "");
  };
  paint();
  shellListeners.push(on("status", paint));
  return element;
}

/** @type {(() => void)[]} */
const shellListeners = [];

function navigation() {
  const link = (/** @type {string} */ name) =>
    h("a", { href: `#/${name}`, "data-area": name }, icon(name, 18), h("span", null, t(`nav.${name}`)));
  return h("nav.rail", { "aria-label": t("nav") }, Object.keys(AREAS).map(link));
}

function show() {
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));
  endOfArea?.();
  const guided = wantsGuide();
  const name = guided ? "guide" : area();
  document.body.dataset.area = name;
  for (const link of document.querySelectorAll("nav.rail a")) {
    const here = /** @type {HTMLElement} */ (link).dataset.area === name;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (here) centre(/** @type {HTMLElement} */ (link));
  }
  document.title = guided ? `Codex Nexus · ${t("guide.title")}` : `${t(`nav.${name}`)} · Codex Nexus`;
  /** @type {{element: Element, end?: () => void}} */
  const view = guided ? guide(begin) : AREAS[name]();
  endOfArea = view.end;
  fill(main, view.element);
}

/** Brings the link of this area into sight where the links are a strip. scrollIntoView would move the keyboard, too. @param {HTMLElement} link */
function centre(link) {
  const strip = /** @type {HTMLElement} */ (link.parentElement);
  strip.scrollLeft = link.offsetLeft - strip.offsetLeft - (strip.clientWidth - link.clientWidth) / 2;
}

function moved() {
  show();
  window.scrollTo(0, 0);
  document.getElementById("main")?.focus({ preventScroll: true });
}

function begin() {
  shellListeners.splice(0).forEach((end) => end());
  shell();
}

async function boot() {
  settle("auto");
  try {
    await load();
  } catch (error) {
    fill(app(), h("main.fatal", null, mark(40), h("p", null, sentence(error)), button(t("again"), () => location.reload())));
    return;
  }
  settle(state.saved.language);
  begin();
  follow();
  guardKeys();
  on("config", show);
  window.addEventListener("hashchange", moved);
}

boot();
