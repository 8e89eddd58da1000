// Rows of the timeline: heads of workers and their lanes, each with its marks; what lies under a point.

import { after } from "./timeline_scale.js";

/** @typedef {import("./timeline_feed.js").Lane} Lane */
/** @typedef {import("./timeline_feed.js").Mark} Mark */
/** @typedef {import("./timeline_feed.js").Shown} Shown */
/** A worker's head or one of its lanes: as it is in the whole job and in the window.
 * @typedef {{name: string, note: string, head: boolean, y: number, height: number, key: string, whole: Lane | null,
 *   detail: Lane | null, marks: Mark[], sums: [number, number][]}} Row */
/** One item, wherever it was read; more: failures beside it in its bin.
 * @typedef {{index: number, start: number, wall: number, cpu: number, state: string, key: string, more?: number}} Item */

const HEAD = 27;

/** Failed, timed out or crashed. @param {string} state its letter */
export function isBad(state) {
  return state === "f" || state === "t" || state === "x";
}

/** The lane in which an item ran. @param {Row[]} lanes @param {import("./timeline_record.js").Place} place */
export function rowOf(lanes, place) {
  const near = lanes.filter((row) => (row.whole ?? row.detail)?.worker === place.worker);
  const same = near.filter((row) => (row.whole ?? row.detail)?.pid === place.pid);
  return same.find((row) => (row.whole ?? row.detail)?.thread === place.thread) ?? same[0] ?? near[0] ?? null;
}

/** @param {Lane[]} lanes @returns {Map<string, Lane>} lanes by key; equal keys get a number */
function keyed(lanes) {
  const found = new Map();
  for (const lane of lanes) {
    let key = [lane.worker, lane.pid ?? lane.label, lane.thread].join("|");
    while (found.has(key)) key += "'";
    found.set(key, lane);
  }
  return found;
}

/** @param {Shown | null} whole @param {Shown | null} detail @param {{small: boolean, narrow: boolean}} kind */
export function layOut(whole, detail, kind) {
  const wholes = keyed(whole?.lanes ?? []);
  const details = keyed(detail?.lanes ?? []);
  const all = new Map([...wholes, ...details]);
  const height = laneHeight(all.size, kind);
  /** @type {Row[]} */ const rows = [];
  let y = 4;
  for (const [name, lanes] of grouped(all)) {
    rows.push(blankRow(y, HEAD, { name, note: note(lanes, whole), head: true }));
    y += HEAD;
    for (const [key, lane] of lanes) {
      const row = blankRow(y, height, { name: lane.label, key, whole: wholes.get(key) ?? null, detail: details.get(key) ?? null });
      rows.push(row);
      y += height + Math.max(2, Math.round(height / 5));
    }
    y += 8;
  }
  if (whole) placeMarks(rows, whole);
  placeSums(rows, detail?.shared_sum ? detail : whole);
  return { rows, lanes: rows.filter((row) => !row.head), height: y };
}

/** @param {number} y @param {number} height @param {Partial<Row>} rest @returns {Row} */
function blankRow(y, height, rest) {
  return { name: "", note: "", head: false, key: "", whole: null, detail: null, marks: [], sums: [], y, height, ...rest };
}

/** @param {number} lanes @param {{small: boolean, narrow: boolean}} kind */
function laneHeight(lanes, kind) {
  if (lanes > 40) return 11;
  if (kind.narrow) return 14;
  if (kind.small) return 16;
  return lanes > 16 ? 22 : 31;
}

/** @param {Map<string, Lane>} lanes */
function grouped(lanes) {
  /** @type {Map<string, Set<number | null>>} */ const pids = new Map();
  for (const lane of lanes.values()) {
    const known = pids.get(lane.worker) ?? new Set();
    pids.set(lane.worker, known.add(lane.pid));
  }
  const hosts = new Set([...lanes.values()].map((lane) => lane.host)).size;
  /** @type {Map<string, [string, Lane][]>} */ const groups = new Map();
  for (const [key, lane] of lanes) {
    let name = hosts > 1 ? `${lane.worker} on ${lane.host}` : lane.worker;
    const several = (pids.get(lane.worker)?.size ?? 1) > 1;
    if (several && lane.thread && !lane.label.includes("PID")) name += ` · PID ${lane.pid}`;
    const group = groups.get(name) ?? [];
    group.push([key, lane]);
    groups.set(name, group);
  }
  return groups;
}

/** What stands beside a worker's name. @param {[string, Lane][]} lanes @param {Shown | null} whole */
function note(lanes, whole) {
  const pids = new Set(lanes.map(([, lane]) => lane.pid));
  const worker = lanes[0][1].worker;
  const parts = pids.size === 1 && lanes[0][1].pid && lanes[0][1].thread ? [`PID ${lanes[0][1].pid}`] : [];
  const batches = new Set(lanes.flatMap(([, lane]) => lane.bars?.batch ?? []));
  if (batches.size && batches.size < 4) parts.push(`batch ${[...batches].join(", ")}`);
  for (const mark of whole?.marks ?? []) {
    if (mark.worker !== worker || mark.kind === "run_again") continue;
    const at = mark.kind === "worker_lost" ? ", noticed at" : " at";
    parts.push(`${mark.text}${at} ${mark.at.toFixed(1)} s`);
  }
  return [...new Set(parts)].join(" · ");
}

/** @param {Row[]} rows @param {Shown} whole */
function placeMarks(rows, whole) {
  const lanes = [...keyed(whole.lanes).keys()];
  for (const mark of whole.marks) {
    const own = rows.filter((row) => !row.head && row.whole?.worker === mark.worker);
    const onLane = mark.kind === "run_again" || mark.kind === "refused_write";
    const exact = onLane && mark.lane !== null ? own.filter((row) => row.key === lanes[mark.lane ?? -1]) : [];
    const waited = (/** @type {Row} */ row) => (row.whole?.bars?.start[0] ?? row.whole?.starts[0]?.[0] ?? -1) - mark.at;
    const started = mark.kind === "takeover" ? own.filter((row) => waited(row) > -1e-3 && waited(row) < whole.end / 10) : [];
    const where = [exact, started, own].find((some) => some.length) ?? [];
    for (const row of where) row.marks.push(mark);
  }
}

/** @param {Row[]} rows @param {Shown | null} shown */
function placeSums(rows, shown) {
  if (!shown?.shared_sum) return;
  const keys = [...keyed(shown.lanes).keys()];
  for (const [lane, points] of Object.entries(shown.shared_sum.lane)) {
    const row = rows.find((each) => each.key === keys[Number(lane)]);
    if (row) row.sums = points;
  }
}

/** The lane's part that is drawn at a time. @param {Row} row @param {number} time @param {Shown | null} detail */
export function laneAt(row, time, detail) {
  return detail && time >= detail.from && time <= detail.to ? row.detail : row.whole;
}

/** @param {Lane} lane @param {number} i @param {string} key @returns {Item | null} */
export function itemOf(lane, i, key) {
  const bars = lane.bars;
  if (!bars || i < 0 || i >= bars.index.length) return null;
  return { index: bars.index[i], start: bars.start[i], wall: bars.wall[i], cpu: bars.cpu[i], state: bars.state[i], key };
}

/** The item at a time, or one within `slack` seconds; failed ones first. @param {Row} row @param {Lane | null} lane @param {number} time @param {number} slack */
export function itemAt(row, lane, time, slack) {
  if (!lane?.bars) return null;
  const { start, wall, state } = lane.bars;
  const at = after(start, time) - 1;
  const near = [];
  for (let i = Math.max(0, at - 40); i < Math.min(start.length, at + 40); i += 1) {
    if (start[i] - slack <= time && time <= start[i] + wall[i] + slack) near.push(i);
  }
  const best = near.find((i) => isBad(state[i])) ?? (near.includes(at) ? at : near[0]);
  return best === undefined ? null : itemOf(lane, best, row.key);
}

/** A loaded item by its number. @param {Row[]} lanes @param {number} index */
export function itemNumbered(lanes, index) {
  const find = (/** @type {Row} */ row) => 
    [row.detail, row.whole].map((lane) => lane && itemOf(lane, lane.bars?.index.indexOf(index) ?? -1, row.key));
  return lanes.flatMap(find).find(Boolean) ?? null;
}

/** Failed items of what was read, by time. @param {Row[]} rows @param {Shown | null} whole @param {Shown | null} detail */
export function failures(rows, whole, detail) {
  const found = rows.flatMap((row) => [...failuresOf(row.key, row.whole, whole), ...failuresOf(row.key, row.detail, detail)]);
  const once = new Map(found.map((item) => [item.index, item]));
  return [...once.values()].sort((a, b) => a.start - b.start || a.index - b.index);
}

/** @type {WeakMap<Lane, Item[]>} */ const known = new WeakMap();

/** Failed items of a lane, the first one of each bin. @param {string} key @param {Lane | null} lane @param {Shown | null} shown */
export function failuresOf(key, lane, shown) {
  if (!lane || !shown) return [];
  const size = shown.bin_s ?? 0;
  const found = known.get(lane) ?? [];
  if (known.has(lane)) return found;
  known.set(lane, found);
  for (const letters = /[ftx]/g; letters.test(lane.bars?.state ?? ""); ) {
    const item = itemOf(lane, letters.lastIndex - 1, key);
    if (item) found.push(item);
  }
  for (const [bin, index, more] of lane.bins?.failed ?? []) {
    found.push({ index, start: shown.from + bin * size, wall: size, cpu: 0, state: "f", key, more: more - 1 });
  }
  return found;
}
