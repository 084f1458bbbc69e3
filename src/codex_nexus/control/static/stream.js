// One message through the gateway, read as its events come.

import { raw, refusal } from "./api.js";

/** @typedef {{name: string, data: any, at: number}} Told */

/**
 * Sends a message and tells every event. Ends when the answer does.
 * @param {{model: string, message: string, effort?: string}} asked
 * @param {{opened: (upstream: string) => void, event: (told: Told) => void}} hears
 * @param {AbortSignal} signal
 */
export async function talk(asked, hears, signal) {
  const began = performance.now();
  const answer = await raw("playground", asked, {}, signal);
  if (!answer.ok || !answer.body) throw await refusal(answer);
  hears.opened(answer.headers.get("x-nexus-upstream") ?? "");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) tellBlock(block, hears.event, performance.now() - began);
  }
}

/** @param {string} block @param {(told: Told) => void} event @param {number} at */
function tellBlock(block, event, at) {
  const lines = block.split("\n");
  const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
  if (!data || data === "[DONE]") return;
  try {
    const value = JSON.parse(data);
    event({ name: value.type ?? "message", data: value, at });
  } catch {
    event({ name: "?", data, at });
  }
}

/** What a terminal event says went wrong; empty when nothing did. @param {any} data */
export function faultOf(data) {
  const response = data.response ?? {};
  if (data.type === "response.failed") return response.error?.message ?? "";
  if (data.type === "response.incomplete") return response.incomplete_details?.reason ?? "";
  return data.type === "error" ? data.error?.message ?? data.message ?? "" : "";
}
