// How Codex is started, once the road to a model works.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { injectionFact } from "./overview.js";
import { state } from "./store.js";
import { button, copyable } from "./widgets.js";

/** @param {string} model That has answered. @param {() => void} end */
export function wayIn(model, end) {
  const found = state.status?.injection.state ?? "absent";
  return [
    h("h3", null, icon("check", 20), t("guide.ready")),
    h("p", null, t("guide.ready.text", { model })),
    h("div.commands", null, !state.meta.codex_found && installing(), found === "absent" ? connecting() : connected(found), temporary()),
    h("p.help", null, t("guide.ide")),
    button(t("guide.done"), end, { kind: "primary", key: "guide-done" }),
  ];
}

function installing() {
  return [copyable("npm install -g @openai/codex@latest"), h("p.help", null, t("guide.no.codex"))];
}

/** @param {string} found */
function connected(found) {
  return found === "default" ? [copyable("codex"), h("p.help", null, t("injection.default"))] : [copyable("codex -p nexus"), h("p.help", null, t("guide.profile.help"))];
}

function connecting() {
  return [injectionFact(false), h("p.help", null, t("guide.connect.help"))];
}

function temporary() {
  return [copyable(`${state.meta.command} run -- codex`), h("p.help", null, t("guide.run.help"))];
}
