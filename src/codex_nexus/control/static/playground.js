// The playground: a message through any route; text, reasoning and raw events as they come.

import { fill, h, tell } from "./dom.js";
import { count, duration } from "./format.js";
import { t } from "./i18n.js";
import { ready, state } from "./store.js";
import { faultOf, talk } from "./stream.js";
import { button, datalist, field, section, select, sentence, textInput } from "./widgets.js";

const EFFORTS = ["", "none", "low", "medium", "high"];
const MOST_EVENTS = 400;

let model = "";
let effort = "";
let message = "";
/** The answer stays, and goes on, while other areas are looked at. @type {ReturnType<typeof answerView> | null} */
let view = null;
/** @type {AbortController | null} */
let running = null;
let paintButton = (/** @type {boolean} */ _busy) => {};

/** Opens the playground with a model. @param {string} name */
export function ask(name) {
  model = name;
  location.hash = "#/playground";
}

export function playground() {
  if (!view || !running) view = answerView(view);
  const shown = view;
  const send = async () => {
    if (running) return running.abort();
    running = new AbortController();
    paintButton(true);
    await shown.run({ model: model || firstModel(), message: message || t("play.example"), effort }, running.signal);
    running = null;
    paintButton(false);
  };
  const go = h("div.send");
  paintButton = (/** @type {boolean} */ busy) =>
    fill(go, button(t(busy ? "play.stop" : "play.send"), send, { kind: "primary", icon: busy ? "remove" : "send", key: "send" }), h("kbd", null, "Ctrl ↵"));
  paintButton(Boolean(running));
  const form = h("form.play-form", { onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, fields(send), go);
  const element = h(
    "div.area",
    null,
    h("h1", null, t("nav.playground")),
    h("p.lead", null, t("play.lead")),
    h("div.play", null, section(t("play.ask"), [form], { class: "boxed" }), h("div.stack", null, section(t("play.answer"), [shown.answer], { class: "boxed", aside: shown.facts }), section(t("play.events"), [shown.events], { aside: shown.counter }))),
  );
  return { element };
}

/** @param {() => void} send */
function fields(send) {
  const names = datalist(routes());
  const keys = (/** @type {KeyboardEvent} */ event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") send();
  };
  const words = h("textarea.input", { rows: 5, "data-key": "message", placeholder: t("play.example"), value: message, oninput: (/** @type {any} */ event) => (message = event.target.value), onkeydown: keys });
  return [
    field(t("play.model"), h("div.input-group", null, textInput(model, (text) => (model = text), { class: "mono", list: names.id, placeholder: firstModel(), "data-key": "play-model" }), names), { help: t("play.model.help") }),
    field(t("play.effort"), select(effort, EFFORTS.map((name) => [name, name || t("play.effort.auto")]), (value) => (effort = value))),
    field(t("play.message"), words),
  ];
}

/** Everything that can be asked for by name. */
function routes() {
  const own = state.saved.routes.map((/** @type {any} */ row) => row.name);
  const able = state.providers.filter((one) => ready(one));
  const direct = able.flatMap((one) => [...(state.probed[one.id] ?? []), ...one.models].map((found) => `${one.id}/${found.id}`));
  return [...new Set([...own, ...direct, ...state.codexModels.map((one) => one.name)])];
}

function firstModel() {
  return state.saved.routes[0]?.name ?? state.codexModels[0]?.name ?? "gpt-5.5";
}

/** The answer as it grows. Also the guide's. @param {{answer: HTMLElement, facts: HTMLElement, events: HTMLElement, counter: HTMLElement} | null} [before] */
export function answerView(before) {
  const thought = h("div.thought-text");
  const thinking = h("details.thought", { hidden: true }, h("summary", null, t("play.reasoning")), thought);
  const text = h("div.answer-text", { "data-testid": "answer" });
  const note = h("p.answer-note", { role: "status" }, t("play.empty"));
  const answer = h("div.answer", null, thinking, text, note);
  const facts = h("p.answer-facts");
  const events = h("ol.events", { tabindex: "0", "aria-label": t("play.events") });
  const counter = h("span.note");
  let seen = 0;
  if (before?.answer.dataset.state) fill(text, before.answer.querySelector(".answer-text")?.textContent ?? "");
  if (before) [facts, events, counter].forEach((one, n) => one.append(...[before.facts, before.events, before.counter][n].childNodes));
  note.hidden = Boolean(text.textContent);

  const hear = (/** @type {import("./stream.js").Told} */ told, /** @type {Progress} */ progress) => {
    seen += 1;
    tell(counter, t("play.count", { n: count(seen) }));
    listEvent(events, told);
    if (told.name === "response.output_text.delta") {
      progress.first ||= told.at;
      text.append(told.data.delta);
    } else if (/reasoning.*\.delta$/.test(told.name)) {
      thinking.hidden = false;
      thinking.open = !text.textContent;
      thought.append(told.data.delta);
    } else if (told.data.response?.status && /completed|incomplete|failed/.test(told.name)) {
      progress.ended = told.name.replace("response.", "");
      progress.fault = faultOf(told.data);
      progress.usage = told.data.response.usage;
    }
    progress.last = told.at;
  };

  const run = async (/** @type {any} */ asked, /** @type {AbortSignal} */ signal) => {
    /** @type {Progress} */
    const progress = { first: 0, last: 0, ended: "", fault: "", usage: null, upstream: "" };
    seen = 0;
    [thought, text, events, facts, counter].forEach((one) => fill(one));
    thinking.hidden = true;
    note.hidden = false;
    answer.dataset.state = "running";
    tell(note, t("play.waiting"));
    try {
      const opened = (/** @type {string} */ upstream) => (progress.upstream = upstream);
      await talk(asked, { opened, event: (told) => hear(told, progress) }, signal);
      tell(note, progress.fault || (progress.ended ? "" : t("play.cut")));
    } catch (error) {
      progress.ended = signal.aborted ? "stopped" : "refused";
      tell(note, signal.aborted ? t("play.stopped") : sentence(error));
    }
    answer.dataset.state = progress.ended || "cut";
    fill(facts, ...summary(progress));
    return progress.ended === "completed";
  };
  return { answer, facts, events, counter, run };
}

/** @typedef {{first: number, last: number, ended: string, fault: string, usage: any, upstream: string}} Progress */

/** @param {Progress} progress */
function summary(progress) {
  const parts = [
    progress.upstream && h("code", null, progress.upstream),
    progress.first > 0 && h("span", null, t("play.first", { time: duration(progress.first / 1000) })),
    progress.last > 0 && h("span", null, t("play.total", { time: duration(progress.last / 1000) })),
    progress.usage && h("span", null, t("play.usage", { in: count(progress.usage.input_tokens), out: count(progress.usage.output_tokens) })),
  ];
  return parts.filter(Boolean);
}

/** @param {HTMLElement} events @param {import("./stream.js").Told} told */
function listEvent(events, told) {
  const follow = events.scrollTop + events.clientHeight >= events.scrollHeight - 40;
  const line = h("details", null, h("summary", null, h("time", null, `${(told.at / 1000).toFixed(2)} s`), h("code", null, told.name)));
  line.addEventListener("toggle", () => line.children.length === 1 && line.append(h("pre", null, JSON.stringify(told.data, null, 2))), { once: true });
  events.append(h("li", null, line));
  while (events.children.length > MOST_EVENTS) events.firstElementChild?.remove();
  if (follow) events.scrollTop = events.scrollHeight;
}
