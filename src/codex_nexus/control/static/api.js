// The panel's endpoints. Keys go out once, in a body; they are kept nowhere here.

/** @typedef {{path: string, message: string}} Problem */

/** @typedef {{why: string, place: string, proxy: string}} Way How a provider was asked. */

/** What an endpoint refused: its sentence, its code, the problems of a configuration, the way to a provider. */
export class Refusal extends Error {
  /** @param {string} message @param {number} status @param {string} code @param {Problem[]} problems @param {Way} [way] */
  constructor(message, status, code, problems = [], way = undefined) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems;
    this.way = way;
  }
}

let token = "";

/** The token without which nothing can be changed; asked for once, and again after a restart of the program. */
async function session() {
  token = (await (await fetch("/nexus-ctrl/session")).json()).token;
}

/**
 * @param {string} name
 * @returns {Promise<any>}
 */
export async function get(name) {
  return read(await sent(`/nexus-ctrl/${name}`, {}));
}

/**
 * @param {string} name
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function post(name, body = {}, headers = {}) {
  return read(await raw(name, body, headers));
}

/**
 * A POST whose answer is read by the caller.
 * @param {string} name
 * @param {any} body
 * @param {Record<string, string>} [headers]
 * @param {AbortSignal} [signal]
 */
export async function raw(name, body, headers = {}, signal) {
  if (!token) await session();
  let answer = await change(name, body, headers, signal);
  if (answer.status === 403 && (await answer.clone().json()).error?.code === "csrf_token_wrong") {
    await session();
    answer = await change(name, body, headers, signal);
  }
  return answer;
}

/** @param {string} name @param {any} body @param {Record<string, string>} headers @param {AbortSignal} [signal] */
function change(name, body, headers, signal) {
  return sent(`/nexus-ctrl/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "x-nexus-csrf": token, ...headers },
    body: JSON.stringify(body),
    signal,
  });
}

/** @param {string} url @param {RequestInit} options */
async function sent(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal("", 0, "no_answer");
  }
}

/** @param {Response} answer */
async function read(answer) {
  if (answer.ok) return answer.json();
  throw await refusal(answer);
}

/** @param {Response} answer */
export async function refusal(answer) {
  const said = await answer.json().catch(() => ({}));
  const error = said.error ?? {};
  return new Refusal(error.message ?? answer.statusText, answer.status, error.code ?? "", said.problems ?? [], said.way);
}
