// The record beside the lanes, as the server renders it; what is known of an item before it was read.

import { count, percent, seconds } from "./timeline_scale.js";

/** @typedef {import("./timeline_rows.js").Item} Item */
/** Where a record says that its item ran; state: its letter, start: seconds since the order.
 * @typedef {{index: number, state: string, start: number | null, wall: number, cpu: number, worker: string | null,
 *   pid: number | null, thread: string | null}} Place */

/** @type {Record<string, string>} */
const STATES = { s: "succeeded", f: "failed", t: "timeout", x: "crashed", c: "cancelled" };

/** An item for a screen reader. @param {Item} item @param {string} lane */
export function inWords(item, lane) {
  const share = item.wall ? `, computing ${percent(item.cpu / item.wall)}` : "";
  return `item ${item.index}, ${STATES[item.state]}, ${lane}, ${seconds(item.wall)}${share}`;
}

/** What is known of an item before its record is read. @param {HTMLElement} panel @param {Item} item @param {string} lane */
export function showItem(panel, item, lane) {
  const [head, title, words] = ["header", "h2", "p"].map((name) => document.createElement(name));
  title.textContent = `Item ${count(item.index)}`;
  head.append(title);
  const badge = document.querySelector(`template[data-badge="${STATES[item.state]}"]`);
  if (badge instanceof HTMLTemplateElement) head.append(badge.content.cloneNode(true));
  const share = item.wall ? `, of which it computed ${percent(Math.min(1, item.cpu / item.wall))}` : "";
  words.textContent = `It began at ${item.start.toFixed(3)} s in ${lane} and took ${seconds(item.wall)}${share}.`;
  panel.replaceChildren(head, words);
}

/** Read a record into the panel, unless another one was chosen meanwhile.
 * @param {HTMLElement} panel @param {string} job its page @param {number} index @param {AbortSignal} signal
 * @returns {Promise<Place>} */
export async function readRecord(panel, job, index, signal) {
  const answer = await fetch(`${job}?item=${index}&fragment=record`, { headers: { Accept: "text/html" }, signal });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const head = /** @type {HTMLElement} */ (fresh.querySelector("[data-item]"));
  signal.throwIfAborted();
  panel.replaceChildren(.../** @type {Element} */ (head.parentElement).childNodes);
  return JSON.parse(head.dataset.item ?? "");
}
