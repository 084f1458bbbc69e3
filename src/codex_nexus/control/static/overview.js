// The overview: what is live, what went through, what went wrong, what stands in Codex.

import { post } from "./api.js";
import { fill, h, tell } from "./dom.js";
import { flow } from "./flow.js";
import { clock, count, long } from "./format.js";
import { t } from "./i18n.js";
import { load, on, provider, state } from "./store.js";
import { recording } from "./trace.js";
import { traffic } from "./traffic.js";
import { usage } from "./usage.js";
import { busy, button, copyable, path, section, sentence, toast } from "./widgets.js";

export function overview() {
  const picture = flow();
  const strip = figures();
  const rows = traffic();
  const record = recording();
  const used = usage();
  const services = h("div.facts");
  const errors = h("div.faults");
  let before = "";
  const paint = () => {
    if (!state.status) return;
    strip.paint();
    const key = JSON.stringify([state.linked, state.status.running, state.status.address, state.status.panel, state.status.injection, state.saved.provider, state.status.errors]);
    if (key === before) return;
    before = key;
    fill(services, ...facts());
    fill(errors, ...faults());
  };
  paint();
  const ends = [on("status", paint), picture.end, rows.end, record.end, used.end];
  const element = h(
    "div.area",
    null,
    h("h1.sr", null, t("nav.overview")),
    picture.element,
    strip.element,
    h(
      "div.split",
      null,
      section(t("traffic"), [rows.element], { class: "traffic-section", aside: record.element }),
      h("div.stack", null, section(t("usage"), [used.element]), section(t("services"), [services]), section(t("errors"), [errors])),
    ),
  );
  return { element, end: () => ends.forEach((end) => end()) };
}

function figures() {
  const cells = ["live", "turns", "failures", "provider", "uptime"].map((name) => {
    const value = h("dd");
    return { name, value, cell: h("div.figure", { "data-figure": name }, h("dt", null, t(`figure.${name}`)), value) };
  });
  const paint = () => {
    const status = state.status;
    /** @type {Record<string, string>} */
    const texts = {
      live: count(status.live),
      turns: count(status.turns),
      failures: count(status.failures),
      provider: provider(state.saved.provider)?.name ?? status.provider,
      uptime: long(status.uptime_s),
    };
    for (const { name, value, cell } of cells) {
      tell(value, texts[name]);
      cell.classList.toggle("lit", name === "live" && status.live > 0);
      cell.classList.toggle("bad", name === "failures" && status.failures > 0);
    }
  };
  return { element: h("dl.figures", null, cells.map((one) => one.cell)), paint };
}

function facts() {
  const status = state.status;
  return [
    fact(t("fact.gateway"), status.running ? copyable(status.address) : startButton()),
    fact(t("fact.panel"), copyable(status.panel)),
    fact(t("fact.codex"), injectionFact()),
    fact(t("fact.config"), path(state.meta.path)),
    fact(t("fact.version"), h("code", null, status.version)),
  ];
}

/** @param {string} name @param {any} value */
function fact(name, value) {
  return h("div.fact", null, h("span.fact-name", null, name), h("div.fact-value", null, value));
}

function startButton() {
  const start = async (/** @type {any} */ event) => {
    await busy(event.currentTarget, () => post("start")).then(() => toast(t("started")), (error) => toast(sentence(error), "bad"));
  };
  return [h("p", null, t("not.started")), button(t("start"), start, { kind: "primary", icon: "power", key: "start" })];
}

/** Codex's configuration in words, with the button that changes it. @param {boolean} [withPath] */
export function injectionFact(withPath = true) {
  const { state: found, path: where, said } = state.status.injection;
  const act = async (/** @type {any} */ event, /** @type {string} */ verb) => {
    try {
      const done = await busy(event.currentTarget, () => post(verb));
      toast(done.said);
      load(true);
    } catch (error) {
      toast(sentence(error), "bad");
    }
  };
  const inject = button(t("inject"), (event) => act(event, "inject"), { icon: "add", key: "inject" });
  const eject = button(t("eject"), (event) => act(event, "eject"), { icon: "remove", key: "eject" });
  return h(
    "div.injection",
    { "data-state": found },
    h("p", null, h("span.dot"), t(`injection.${found}`)),
    withPath && path(where),
    said && h("p.help", null, said),
    found === "unreadable" ? null : found === "absent" ? inject : eject,
  );
}

function faults() {
  const errors = state.status.errors;
  if (!errors.length) return [h("p.empty", null, t("errors.none"))];
  const line = (/** @type {any} */ error) =>
    h("li", null, h("time", null, clock(error.at)), h("div", null, h("p", null, error.message), h("code", null, error.upstream)));
  return [h("ol.fault-list", null, errors.map(line))];
}
