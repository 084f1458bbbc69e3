// What was used today and lately, and how far the budgets are. Asked for while the overview is open, every few seconds.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { cost, count, size } from "./format.js";
import { t } from "./i18n.js";
import { provider } from "./store.js";

const EVERY_MS = 5000;
const SPANS = ["today", "week", "month"];

/** @typedef {{turns: number, failed: number, input_tokens: number, cached_tokens: number, output_tokens: number, reasoning_tokens: number, cost: number | null, priced: boolean}} Sum */
/** @typedef {{key: string, provider: string, kind: string, limit: number, used: number, state: string}} Budget */

export function usage() {
  const element = h("div.usage", { "aria-live": "off" });
  let before = "";
  const paint = (/** @type {any} */ body) => {
    const seen = JSON.stringify(body);
    if (seen === before) return;
    before = seen;
    const budgets = body.budgets.map((/** @type {Budget} */ one) => budget(one, body.anew_in_s));
    fill(element, body.problem && h("p.warning", null, body.problem), table(body), budgets.length > 0 && h("ul.budgets", null, budgets));
  };
  const ask = () => document.hidden || get("usage").then(paint, () => {});
  ask();
  const clockwork = setInterval(ask, EVERY_MS);
  return { element, end: () => clearInterval(clockwork) };
}

/** @param {Record<string, Sum>} sums */
function table(sums) {
  const head = ["tokens", "cached", "turns", "cost"].map((name) => h("th", { scope: "col" }, t(`usage.${name}`)));
  return h("table", null, h("thead", null, h("tr", null, h("td"), head)), h("tbody", null, SPANS.map((name) => row(name, sums[name]))));
}

/** @param {string} name @param {Sum} sum */
function row(name, sum) {
  const title = t("usage.title", { input: count(sum.input_tokens), output: count(sum.output_tokens), reasoning: count(sum.reasoning_tokens), failed: count(sum.failed) });
  const cached = sum.input_tokens ? `${Math.round((100 * sum.cached_tokens) / sum.input_tokens)} %` : "–";
  const paid = sum.cost === null || !sum.turns ? "–" : cost(sum.cost) + (sum.priced ? "" : "+");
  return h(
    "tr",
    { "data-span": name },
    h("th", { scope: "row" }, t(`usage.${name}`)),
    h("td", { title }, h("b", null, size(sum.input_tokens + sum.output_tokens))),
    h("td", null, cached),
    h("td", null, count(sum.turns)),
    h("td", { title: t(sum.priced ? "usage.cost.title" : "usage.cost.part") }, paid),
  );
}

/** @param {Budget} one @param {number} seconds */
function budget(one, seconds) {
  const amount = (/** @type {number} */ value) => (one.kind === "cost" ? cost(value) : size(value));
  const whose = one.provider === "*" ? t("usage.all") : (provider(one.provider)?.name ?? one.provider);
  const used = one.used || one.kind === "cost" ? amount(one.used) : "0";
  const text = t("usage.budget", { whose, used, limit: amount(one.limit), kind: t(`usage.${one.kind}`) });
  const left = t("usage.anew", { hours: Math.floor(seconds / 3600), minutes: Math.floor((seconds % 3600) / 60) });
  return h(
    "li",
    { "data-state": one.state, title: `${one.key} – ${left}` },
    h("span", null, text),
    h("span.share", { vars: { "--share": Math.min(1, one.used / one.limit).toFixed(3) } }),
    one.state !== "good" && h("p", null, t(`usage.${one.state}`), one.state === "reached" && ` ${left}`),
  );
}
