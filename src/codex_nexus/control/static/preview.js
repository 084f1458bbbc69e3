// What a save and an injection would write, before they do.

import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { injectionFact } from "./overview.js";
import { changes, on, state, wanted } from "./store.js";
import { section, sentence } from "./widgets.js";

export function preview() {
  const toml = h("div.preview-body");
  const json = h("div.preview-body");
  const codex = h("div");
  const paths = { toml: h("code.path"), json: h("code.path") };
  const draw = async () => {
    try {
      const found = await post("preview", { config: wanted() });
      fill(paths.toml, found.config_toml.path);
      fill(paths.json, found.config_json.path);
      fill(toml, tomlBody(found.config_toml));
      fill(json, ...jsonBody(found.config_json));
      fill(codex, state.status && injectionFact(false));
    } catch (error) {
      const problems = /** @type {any} */ (error).problems ?? [];
      fill(json, h("p.refused", { role: "alert" }, sentence(error)), h("ul.problems", null, problems.map((/** @type {any} */ one) => h("li", null, h("code", null, one.path), " ", one.message))));
      fill(toml);
    }
  };
  draw();
  let before = "";
  const again = () => {
    const now = JSON.stringify(state.status?.injection ?? "");
    if (now !== before) draw();
    before = now;
  };
  const element = h(
    "div.area",
    null,
    h("h1", null, t("nav.preview")),
    h("p.lead", null, t("preview.lead")),
    h("div.panes", null, section(t("preview.toml"), [paths.toml, toml, codex]), section(t("preview.json"), [paths.json, json])),
  );
  const ends = [on("status", again), on("draft", draw)];
  return { element, end: () => ends.forEach((end) => end()) };
}

/** @param {any} found */
function tomlBody(found) {
  if (found.said) return h("p.refused", null, found.said);
  return found.changed ? diff(found.diff) : h("p.empty", null, t("preview.toml.same"));
}

/** @param {any} found */
function jsonBody(found) {
  const same = !changes().length || !found.diff;
  return [h("p.help", null, t(same ? "preview.json.same" : "preview.json.changed")), same ? h("pre.code", { tabindex: "0" }, found.text) : diff(found.diff)];
}

/** A unified diff, line by line. @param {string} text */
function diff(text) {
  const kinds = new Map([["+", "plus"], ["-", "minus"], ["@", "place"]]);
  const line = (/** @type {string} */ one) => h("span.line", { class: kinds.get(one[0]) ?? "" }, one || " ");
  return h("pre.code.diff", { tabindex: "0", role: "region", "aria-label": t("preview.diff") }, text.split("\n").map(line));
}
