// A recorded turn, opened: what Codex asked, what went to the provider, what it answered, what Codex got.

import { get, post } from "./api.js";
import { fill, freshId, h } from "./dom.js";
import { count } from "./format.js";
import { t } from "./i18n.js";
import { on, state } from "./store.js";
import { busy, button, sentence, toast } from "./widgets.js";

const KEEP = 20;
const AT_ONCE = 200;
/** @type {[string, string][]} */
const VIEWS = [
  ["client_request", "trace.client_request"],
  ["upstream_requests", "trace.upstream_requests"],
  ["upstream_answers", "trace.upstream_answers"],
  ["client_reply", "trace.client_reply"],
];

/** @typedef {{at: number, text: string}} Part */
/** @typedef {{bytes: number, json?: any, stream?: Part[], text?: string}} Body */

/** The switch that begins and ends recording. */
export function recording() {
  const box = h("input.switch", { type: "checkbox", role: "switch", "data-key": "record" });
  const paint = () => (box.checked = state.status?.recording.keep > 0);
  const turn = async () => {
    try {
      state.status.recording.keep = (await post("traces", { keep: box.checked ? KEEP : 0 })).keep;
    } catch (error) {
      toast(sentence(error), "bad");
    }
    paint();
  };
  box.addEventListener("change", turn);
  paint();
  return { element: h("label.record", { title: t("trace.record.help", { n: KEEP }) }, box, t("trace.record")), end: on("status", paint) };
}

/** Whether a turn is on record. @param {string} id */
export function isRecorded(id) {
  return Boolean(state.status?.recording.turns.includes(id));
}

/** Opens a recorded turn. @param {string} id */
export async function openTrace(id) {
  try {
    show(id, await get(`traces/${id}?words=1`));
  } catch (error) {
    toast(sentence(error), "bad");
  }
}

/** @param {string} id @param {any} trace */
function show(id, trace) {
  const title = freshId();
  const dialog = h("dialog.dialog.trace", { "aria-labelledby": title, onclose: () => dialog.remove() });
  const keep = async (/** @type {any} */ event) => {
    const data = await busy(event.currentTarget, () => get(`traces/${id}`)).catch((error) => toast(sentence(error), "bad"));
    if (data) download(`trace-${data.turn.id}.json`, JSON.stringify(data, null, 1));
  };
  const close = button(t("close"), () => dialog.close(), { kind: "quiet", key: "trace-close" });
  const save = button(t("trace.save"), keep, { kind: "primary", key: "trace-save" });
  const route = `${trace.turn.asked || "–"} → ${trace.turn.upstream || "–"}`;
  fill(dialog, h("h2", { id: title }, t("trace.title"), " ", h("code", null, route)), h("p.help", null, t("trace.words")), tabs(trace), h("div.actions", null, close, save));
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {string} name @param {string} text */
function download(name, text) {
  const url = URL.createObjectURL(new Blob([`${text}\n`], { type: "application/json" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** @param {any} trace */
function tabs(trace) {
  const panel = h("div.trace-view", { role: "tabpanel", id: freshId(), tabindex: "0" });
  const heads = VIEWS.map(([view, label]) =>
    h("button.tab", { type: "button", role: "tab", id: freshId(), "aria-controls": panel.id, "data-key": view }, t(label)),
  );
  const choose = (/** @type {number} */ chosen) => {
    heads.forEach((head, n) => {
      head.setAttribute("aria-selected", String(n === chosen));
      head.tabIndex = n === chosen ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", heads[chosen].id);
    const told = trace[VIEWS[chosen][0]];
    const all = Array.isArray(told) ? told : [told];
    fill(panel, ...(all.length ? all.map(block) : [h("p.empty", null, t("trace.nothing"))]));
    panel.scrollTop = 0;
  };
  heads.forEach((head, n) => {
    head.addEventListener("click", () => choose(n));
    head.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = (n + step + heads.length) % heads.length;
      choose(next);
      heads[next].focus();
    });
  });
  choose(0);
  return [h("div.tabs", { role: "tablist", "aria-label": t("trace.title") }, heads), panel];
}

/** One request or one answer. @param {any} told */
function block(told) {
  const { headers = {}, body, at, ...facts } = told;
  const named = [...Object.entries(facts), ...Object.entries(headers)];
  const head = [at === undefined ? "" : `+${at.toFixed(3)} s`, body && t("trace.bytes", { n: count(body.bytes) })];
  const line = (/** @type {[string, any]} */ [name, value]) => [h("dt", null, name), h("dd", null, typeof value === "string" ? value : JSON.stringify(value))];
  return h("section.trace-block", null, h("p.note", null, head.filter(Boolean).join(" · ")), h("dl", null, named.map(line)), body && content(body));
}

/** @param {Body} body */
function content(body) {
  if (body.stream) return stream(body.stream);
  return h("pre", null, body.json === undefined ? body.text : JSON.stringify(body.json, null, 2));
}

/** @param {Part[]} parts */
function stream(parts) {
  const list = h("ol.trace-stream");
  const more = button("", () => add(), { kind: "quiet" });
  const add = () => {
    const from = list.children.length;
    const line = (/** @type {Part} */ part) => h("li", null, h("time", null, `+${part.at.toFixed(3)}`), h("pre", null, pretty(part.text)));
    list.append(...parts.slice(from, from + AT_ONCE).map(line));
    const left = parts.length - list.children.length;
    more.hidden = left <= 0;
    more.textContent = t("trace.more", { n: count(left) });
  };
  add();
  return [list, more];
}

/** An event with its JSON spread out. @param {string} text */
function pretty(text) {
  return text.trimEnd().replace(/^data: ?([{[].*)$/gm, (line, json) => {
    try {
      return `data: ${JSON.stringify(JSON.parse(json), null, 1)}`;
    } catch {
      return line;
    }
  });
}
