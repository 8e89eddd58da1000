// The record beside the lanes, and the list of failed items; all text of users is set as text.

import { count, percent, seconds } from "./timeline_scale.js";

/** @typedef {import("./timeline_rows.js").Item} Item */
/** @typedef {{type: string, message: string, traceback?: string | null}} Failure */
/** A record as the API shows it.
 * @typedef {{index: number, item: unknown, state: string, value: unknown, error: Failure | null, batch: number,
 *   epoch: number | null, attempt: number, worker: string | null, pid: number | null, ppid: number | null,
 *   thread_name: string | null, started_at: string | null, wall_s: number | null, cpu_s: number | null}} ItemRecord */

/** @type {Record<string, string>} */
const STATES = { s: "succeeded", f: "failed", t: "timeout", x: "crashed", c: "cancelled" };

/** @param {string} state */
export function letterOf(state) {
  return Object.keys(STATES).find((letter) => STATES[letter] === state) ?? "s";
}

/** An item for a screen reader. @param {Item} item @param {string} lane */
export function inWords(item, lane) {
  const share = item.wall ? `, computing ${percent(item.cpu / item.wall)}` : "";
  return `item ${item.index}, ${STATES[item.state]}, ${lane}, ${seconds(item.wall)}${share}`;
}

/** @param {string} name @param {Record<string, string>} attributes @param {...(Node | string)} inside */
function element(name, attributes, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

/** @param {string} records address @param {number} index @param {AbortSignal} [signal] @returns {Promise<ItemRecord | null>} */
export async function fetchRecord(records, index, signal) {
  const response = await fetch(`${records}?cursor=${index}&limit=1`, signal ? { signal } : {});
  if (!response.ok) throw new Error(String(response.status));
  const [record] = (await response.json()).records;
  return record?.index === index ? record : null;
}

/** What is known of an item before its record is read. @param {HTMLElement} panel @param {Item} item @param {string} lane */
export function showItem(panel, item, lane) {
  const parts = [["Started", `${item.start.toFixed(3)} s`], ["Lane", lane]];
  panel.replaceChildren(head(item.index, STATES[item.state]), gauge(item.cpu, item.wall, false), pairs(parts));
}

/** @param {HTMLElement} panel @param {ItemRecord} record @param {number | null} start seconds since the order */
export function showRecord(panel, record, start) {
  const parts = [
    ["Started", start === null ? "never" : `${start.toFixed(3)} s`],
    ["Worker", record.worker ?? "none"],
    ["Process", record.pid === null ? "none" : `PID ${record.pid}, child of ${record.ppid}`],
    ["Thread", record.thread_name ?? "none"],
    ["Batch", `${record.batch}, epoch ${record.epoch ?? "none"}`],
    ["Attempt", String(record.attempt)],
    ["Input", element("code", {}, JSON.stringify(record.item).slice(0, 2000))],
    ...(record.state === "succeeded" ? [["Value", element("code", {}, JSON.stringify(record.value).slice(0, 2000))]] : []),
  ];
  panel.replaceChildren(
    head(record.index, record.state),
    gauge(record.cpu_s ?? 0, record.wall_s ?? 0, record.wall_s === null),
    pairs(/** @type {[string, string | Node][]} */ (parts)),
    ...(record.error ? failure(record.error) : []),
    element("div", { class: "actions" }, element("button", { class: "btn small", type: "button", "data-do": "failure" }, "Next failure")),
  );
}

/** @param {number} index @param {string} state */
function head(index, state) {
  const template = /** @type {HTMLTemplateElement | null} */ (document.querySelector(`template[data-badge="${state}"]`));
  const badge = template ? template.content.cloneNode(true) : element("span", { class: `badge ${state}` }, state);
  return element("header", {}, element("h2", {}, `Item ${count(index)}`), badge);
}

/** @param {number} cpu @param {number} wall @param {boolean} unknown */
function gauge(cpu, wall, unknown) {
  const share = wall ? Math.min(1, cpu / wall) : 0;
  const measured = `computing ${seconds(cpu)} of ${seconds(wall)} (${percent(share)}); the rest it waited or was held up`;
  const words = unknown ? "not ended yet, so nothing was measured" : measured;
  const meter = element("meter", { min: "0", max: "1", value: String(share), "aria-label": "share of the time in which it computed" });
  return element("div", { class: "gauge" }, meter, element("span", { class: "note" }, words));
}

/** @param {[string, string | Node][] | string[][]} parts */
function pairs(parts) {
  return element("dl", { class: "pairs" }, ...parts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

/** @param {Failure} error */
function failure(error) {
  const found = [element("div", {}, element("h3", {}, error.type), element("p", { class: "soft" }, error.message))];
  if (!error.traceback) return found;
  const trace = element("pre", { class: "trace wrap", tabindex: "0", "aria-label": "Traceback" });
  for (const line of error.traceback.trimEnd().split("\n")) {
    const own = line.startsWith("  File ") && !/site-packages|\/lib\/python|batchpool/.test(line);
    const last = !line.startsWith(" ") && !line.startsWith("Traceback");
    trace.append(own ? element("span", { class: "own" }, line) : last ? element("span", { class: "err" }, line) : line, "\n");
  }
  return [...found, element("div", { class: "code" }, trace)];
}
