// The event stream of the panel. It rests while nobody looks: a browser grants one address only a few connections.

import { emit, state } from "./store.js";

const KEPT = 120;
const AGAIN_MS = 1500;

/** @type {EventSource | null} */
let source = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Opens the stream, now and whenever the page becomes visible. */
export function follow() {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
}

function open() {
  if (source || document.hidden) return;
  clearTimeout(timer);
  source = new EventSource("/nexus-ctrl/events");
  source.addEventListener("turns", (event) => takeTurns(JSON.parse(event.data)));
  source.addEventListener("status", (event) => takeStatus(JSON.parse(event.data)));
  source.addEventListener("bye", lost);
  source.onerror = lost;
}

function close() {
  source?.close();
  source = null;
}

function lost() {
  close();
  if (state.linked) {
    state.linked = false;
    emit("status");
  }
  timer = setTimeout(open, AGAIN_MS);
}

/** @param {any} status */
function takeStatus(status) {
  state.status = status;
  state.linked = true;
  state.offset = status.now - Date.now() / 1000;
  emit("status");
}

/** @param {import("./store.js").Turn[]} turns */
function takeTurns(turns) {
  for (const turn of turns) {
    state.turns.delete(turn.id);
    state.turns.set(turn.id, turn);
  }
  for (const [id, turn] of state.turns) {
    if (state.turns.size <= KEPT) break;
    if (turn.status !== "running") state.turns.delete(id);
  }
  emit("turns");
}
