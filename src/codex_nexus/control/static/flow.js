// The picture of the road: Codex, the gateway with the last minute as a ring of ticks, the providers it asks.

import { fill, h, s, tell } from "./dom.js";
import { t } from "./i18n.js";
import { on, provider, state } from "./store.js";

const TICKS = 60;
const SHOWN = 4;
const RADIUS = 76;
const LONGEST = 26;

export function flow() {
  const box = h("div.flow-box");
  const words = h("p.sr", { "aria-live": "off" });
  const element = h("section.flow", { "aria-label": t("flow") }, box, words);
  let shape = "";
  /** @type {ReturnType<typeof drawn> | null} */
  let picture = null;
  const paint = () => {
    const width = Math.floor(box.clientWidth);
    if (!width || !state.saved) return;
    const ends = targets();
    const wanted = JSON.stringify([width, ends.map((one) => one.id), state.status?.address]);
    if (wanted !== shape) {
      shape = wanted;
      picture = drawn(width, ends);
      fill(box, picture.svg);
    }
    picture?.light(ends);
    tell(words, t("flow.words", { live: state.status?.live ?? 0, rate: state.status?.tokens_per_second ?? 0 }));
  };
  const watch = new ResizeObserver(paint);
  watch.observe(box);
  const offs = [on("status", paint), on("turns", paint)];
  return { element, end: () => (watch.disconnect(), offs.forEach((off) => off())) };
}

/** The providers to show: the default one, those with routes, those that were asked lately. */
function targets() {
  const ids = new Set([state.saved.provider, ...state.saved.routes.map((/** @type {any} */ row) => row.provider)]);
  /** @type {Map<string, number>} */
  const live = new Map();
  for (const turn of [...state.turns.values()].reverse()) {
    const id = turn.upstream.split("/")[0];
    ids.add(id);
    if (turn.status === "running") live.set(id, (live.get(id) ?? 0) + 1);
  }
  return [...ids].slice(0, SHOWN).map((id) => ({ id, name: provider(id)?.name ?? id, live: live.get(id) ?? 0 }));
}

/** @typedef {{id: string, name: string, live: number}} End */

/** @param {number} width @param {End[]} ends */
function drawn(width, ends) {
  const wide = width >= 620;
  const height = wide ? 236 : 320 + ends.length * 46;
  const core = wide ? { x: Math.round(width * 0.44), y: 118 } : { x: width / 2, y: 190 };
  const codex = wide ? { x: 8, y: 118 } : { x: width / 2, y: 22 };
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const inner = RADIUS + LONGEST + 10;
  svg.append(wide ? line(codex.x + 92, codex.y, core.x - inner, core.y) : line(codex.x, codex.y + 18, core.x, core.y - inner));
  const first = svg.lastChild;
  svg.append(node(wide ? codex.x : codex.x - 46, codex.y, 92, "Codex"));
  const spokes = ends.map((end, n) => spoke(svg, end, n, ends.length, width, core, wide));
  const ring = dial(core);
  svg.append(ring.element);
  const light = (/** @type {End[]} */ now) => {
    let total = 0;
    now.forEach((end, n) => {
      total += end.live;
      spokes[n].road.classList.toggle("lit", end.live > 0);
      spokes[n].box.classList.toggle("lit", end.live > 0);
      tell(spokes[n].count, end.live ? `×${end.live}` : "");
    });
    first.classList.toggle("lit", total > 0);
    ring.paint();
  };
  return { svg, light };
}

/** @param {any} svg @param {End} end @param {number} n @param {number} all @param {number} width @param {{x: number, y: number}} core @param {boolean} wide */
function spoke(svg, end, n, all, width, core, wide) {
  const inner = RADIUS + LONGEST + 10;
  const box = wide ? 188 : Math.min(240, width - 40);
  const x = wide ? width - box - 8 : core.x - box / 2 + 14;
  const y = wide ? core.y + (n - (all - 1) / 2) * 52 : core.y + inner + 36 + n * 46;
  const road = wide ? curve(core.x + inner, core.y, x, y) : rung(core.x, core.y + inner - 8, core.x - box / 2 - 6, x, y);
  svg.append(road);
  const { element, count } = namedNode(x, y, box, end);
  svg.append(element);
  return { road, box: element, count };
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function line(x1, y1, x2, y2) {
  return s("g.road", null, s("path.base", { d: `M${x1} ${y1}L${x2} ${y2}` }), s("path.pulse", { d: `M${x1} ${y1}L${x2} ${y2}` }));
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function curve(x1, y1, x2, y2) {
  const middle = (x1 + x2) / 2;
  const d = `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
  return s("g.road", null, s("path.base", { d }), s("path.pulse", { d }));
}

/** Out of the ring, along its side, into a provider. @param {number} x1 @param {number} y1 @param {number} side @param {number} x2 @param {number} y2 */
function rung(x1, y1, side, x2, y2) {
  const out = `M${x1} ${y1}V${y1 + 2}Q${x1} ${y1 + 10} ${x1 - 8} ${y1 + 10}H${side + 8}Q${side} ${y1 + 10} ${side} ${y1 + 18}`;
  const d = `${out}V${y2 - 8}Q${side} ${y2} ${side + 8} ${y2}H${x2}`;
  return s("g.road", null, s("path.base", { d }), s("path.pulse", { d }));
}

/** @param {number} x @param {number} y @param {number} width @param {string} name */
function node(x, y, width, name) {
  return s("g.node", null, s("rect", { x, y: y - 18, width, height: 36, rx: 4 }), s("text", { x: x + width / 2, y: y + 5, "text-anchor": "middle" }, name));
}

/** @param {number} x @param {number} y @param {number} width @param {End} end */
function namedNode(x, y, width, end) {
  const short = end.name.length > 22 ? `${end.name.slice(0, 21)}…` : end.name;
  const count = s("text.count", { x: x + width - 12, y: y + 5, "text-anchor": "end" });
  const element = s(
    "g.node",
    null,
    s("rect", { x, y: y - 18, width, height: 36, rx: 4 }),
    s("circle.lamp", { cx: x + 15, cy: y, r: 3 }),
    s("text", { x: x + 28, y: y + 5 }, short),
    count,
  );
  return { element, count };
}

/** The ring: one tick for each of the last sixty seconds, as long as that second had tokens. @param {{x: number, y: number}} core */
function dial(core) {
  const ticks = Array.from({ length: TICKS }, () => s("line", null));
  const number = s("text.big", { x: core.x, y: core.y + 4, "text-anchor": "middle" });
  const label = s("text.small", { x: core.x, y: core.y + 24, "text-anchor": "middle" }, t("flow.rate"));
  const port = s("text.small.dim", { x: core.x, y: core.y + 42, "text-anchor": "middle" });
  const element = s("g.dial", null, s("circle.halo", { cx: core.x, cy: core.y, r: RADIUS - 8 }), ticks, number, label, port);
  const paint = () => {
    const series = state.status?.series ?? [];
    const most = Math.max(20, ...series);
    ticks.forEach((tick, n) => place(tick, core, n, series[n] ?? 0, most));
    const rate = state.status?.tokens_per_second ?? 0;
    tell(number, rate < 100 ? rate.toFixed(1) : Math.round(rate));
    tell(port, state.status?.address ? `:${state.status.address.split(":").pop()}` : "");
    element.classList.toggle("lit", (state.status?.live ?? 0) > 0);
  };
  return { element, paint };
}

/** @param {any} tick @param {{x: number, y: number}} core @param {number} n @param {number} value @param {number} most */
function place(tick, core, n, value, most) {
  const angle = ((n + 0.5) / TICKS) * 2 * Math.PI - Math.PI / 2;
  const long = 5 + (LONGEST - 5) * Math.sqrt(value / most);
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
  const ends = { x1: core.x + dx * RADIUS, y1: core.y + dy * RADIUS, x2: core.x + dx * (RADIUS + long), y2: core.y + dy * (RADIUS + long) };
  for (const [name, at] of Object.entries(ends)) tick.setAttribute(name, at.toFixed(1));
  tick.setAttribute("class", value > 0 ? "tick lit" : "tick");
  tick.style.setProperty("--age", String(0.35 + (0.65 * n) / TICKS));
}
