// The last turns: those under way, then newest first. Rows are kept and only touched where they changed, at most once a frame.

import { fill, h, tell } from "./dom.js";
import { clock, count, duration } from "./format.js";
import { t } from "./i18n.js";
import { on, state } from "./store.js";
import { isRecorded, openTrace } from "./trace.js";
import { iconButton } from "./widgets.js";

const SHOWN = 40;
const TICK_MS = 250;

/** @typedef {import("./store.js").Turn} Turn */
/** @typedef {{element: any, paint: (turn: Turn) => void}} Row */

export function traffic() {
  const body = h("tbody");
  const empty = h("p.empty", null, t("traffic.none"));
  const names = ["at", "route", "tokens", "time", "outcome"];
  const head = h("tr", null, names.map((name) => h("th", { scope: "col", class: `c-${name}` }, t(`traffic.${name}`))));
  const table = h("table.traffic", null, h("thead", null, head), body);
  const element = h("div.table-box", { tabindex: "0", role: "group", "aria-label": t("traffic") }, table, empty);
  /** @type {Map<string, Row>} */
  const rows = new Map();
  let asked = 0;
  const paint = () => {
    asked = 0;
    const turns = [...state.turns.values()].sort(inOrder).slice(0, SHOWN);
    empty.hidden = turns.length > 0;
    table.hidden = !turns.length;
    place(body, rows, turns);
  };
  const later = () => (asked ||= requestAnimationFrame(paint));
  paint();
  const offs = [on("turns", later), on("status", later)];
  const clockwork = setInterval(() => [...state.turns.values()].some(running) && later(), TICK_MS);
  return { element, end: () => (offs.forEach((off) => off()), clearInterval(clockwork), cancelAnimationFrame(asked)) };
}

/** @param {Turn} one @param {Turn} other */
function inOrder(one, other) {
  return Number(running(other)) - Number(running(one)) || other.at - one.at;
}

/** @param {Turn} turn */
function running(turn) {
  return turn.status === "running";
}

/** @param {HTMLElement} body @param {Map<string, Row>} rows @param {Turn[]} turns */
function place(body, rows, turns) {
  const kept = new Set(turns.map((turn) => turn.id));
  for (const [id, row] of rows) {
    if (kept.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  turns.forEach((turn, n) => {
    const row = rows.get(turn.id) ?? newRow(turn);
    rows.set(turn.id, row);
    row.paint(turn);
    if (body.children[n] !== row.element) body.insertBefore(row.element, body.children[n] ?? null);
  });
}

/** @param {Turn} turn @returns {Row} */
function newRow(turn) {
  const upstream = h("code.upstream");
  const tokens = h("td.c-tokens");
  const time = h("span");
  const length = h("span.length");
  const outcome = h("span.outcome");
  const route = h("div.route", null, h("span.asked", null, turn.asked || "–"), h("span.arrow", { "aria-hidden": "true" }, "→"), upstream);
  const open = iconButton("show", t("trace.open", { time: clock(turn.at) }), () => openTrace(turn.id), { "data-key": `trace-${turn.id}` });
  const element = h(
    "tr",
    { onclick: (/** @type {any} */ event) => !open.hidden && !event.target.closest("button") && openTrace(turn.id) },
    h("td.c-at", null, h("time", null, clock(turn.at))),
    h("td.c-route", null, route),
    tokens,
    h("td.c-time", null, time, length),
    h("td.c-outcome", null, h("div.row-head", null, outcome, open)),
  );
  let seen = "";
  const paint = (/** @type {Turn} */ now) => {
    open.hidden = !isRecorded(now.id);
    element.toggleAttribute("data-recorded", !open.hidden);
    const seconds = running(now) ? Math.max(0, Date.now() / 1000 + state.offset - now.at) : now.seconds;
    tell(time, duration(seconds));
    length.style.setProperty("--share", Math.min(1, Math.log10(1 + seconds) / 2).toFixed(3));
    if (now.status + now.upstream === seen) return;
    seen = now.status + now.upstream;
    element.dataset.status = now.status;
    tell(upstream, now.upstream);
    fill(tokens, ...tokensOf(now));
    tell(outcome, t(`outcome.${now.status}`));
    outcome.title = now.fault;
  };
  return { element, paint };
}

/** @param {Turn} turn */
function tokensOf(turn) {
  if (!turn.input_tokens && !turn.output_tokens) return [h("span.none", null, "–")];
  const title = t("traffic.tokens.title", { cached: count(turn.cached_tokens), reasoning: count(turn.reasoning_tokens) });
  const effort = turn.effort && `; ${t("traffic.effort.title", { asked: turn.effort, sent: turn.effort_sent || "–" })}`;
  return [h("span", { title: title + effort }, count(turn.input_tokens), h("span.slash", null, " → "), h("b", null, count(turn.output_tokens)))];
}
