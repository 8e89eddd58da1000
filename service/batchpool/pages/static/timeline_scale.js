// Time, pixels and figures: folded idle time, ticks, and numbers with the unit that suits.

const THIN = "\u202f";

/** @param {number} value */
export function count(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** @param {number} value seconds */
export function seconds(value) {
  if (value === 0) return "0 s";
  if (value < 0.001) return `${(value * 1e6).toFixed(0)} µs`;
  if (value < 1) return `${threeDigits(value * 1e3)} ms`;
  if (value < 60) return `${threeDigits(value)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
}

/** @param {number} value */
function threeDigits(value) {
  return value.toFixed(Math.max(0, 3 - String(Math.floor(value)).length));
}

/** @param {number} share 0 to 1 */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** The first place in a sorted list whose value is greater. @param {ArrayLike<number>} sorted @param {number} value */
export function after(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Round numbers between two: steps of 1, 2 or 5. @param {number} low @param {number} high @param {number} wanted at most */
export function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((k) => power * k >= raw * 0.999) ?? 10);
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) values.push(k * step);
  return { step, values };
}

/** A tick's label, in the unit of its step. @param {number} value @param {number} step */
export function tickLabel(value, step) {
  const [scale, unit] = step >= 0.01 ? [1, "s"] : step >= 1e-5 ? [1e3, "ms"] : [1e6, "µs"];
  const digits = Math.max(0, -Math.floor(Math.log10(step * scale) + 1e-9));
  return { words: (value * scale).toFixed(digits), unit };
}

/** A map of seconds to shown seconds, in which idle time takes little room. */
export class Folding {
  /** @param {[number, number][]} gaps idle spans, in order @param {number} keep seconds that each still takes */
  constructor(gaps, keep) {
    this.gaps = gaps;
    this.keep = keep;
    /** @type {number[]} */ this.shownAt = [];
    let cut = 0;
    for (const [from, to] of gaps) {
      this.shownAt.push(from - cut);
      cut += to - from - keep;
    }
  }

  /** @param {number} time */
  toShown(time) {
    const i = this.gaps.findLastIndex(([from]) => from <= time);
    if (i < 0) return time;
    const [from, to] = this.gaps[i];
    return this.shownAt[i] + (time <= to ? ((time - from) / (to - from)) * this.keep : this.keep + time - to);
  }

  /** @param {number} shown */
  toTime(shown) {
    const i = this.shownAt.findLastIndex((at) => at <= shown);
    if (i < 0) return shown;
    const [from, to] = this.gaps[i];
    const beyond = shown - this.shownAt[i];
    return beyond <= this.keep ? from + (beyond / this.keep) * (to - from) : to + beyond - this.keep;
  }
}

export const UNFOLDED = new Folding([], 0);

/** Fold what is idle in all lanes for over 3 % of the job: its overview says so. @param {import("./timeline_feed.js").Shown} whole */
export function foldIdle({ overview, end }) {
  /** @type {[number, number][]} */ const gaps = [];
  for (let first = 0, bin = 0; bin <= overview.length; bin += 1) {
    if (bin < overview.length && overview[bin] === 0) continue;
    if (bin - first > overview.length * 0.03) gaps.push([(first / overview.length) * end, (bin / overview.length) * end]);
    first = bin + 1;
  }
  return new Folding(gaps, end * 0.012);
}
