// Draws lanes on a canvas: solid area is CPU time, hatch is waiting; states differ by glyph as well as by colour.

import { failuresOf } from "./timeline_rows.js";
import { after, count, tickLabel, ticks } from "./timeline_scale.js";

/** @typedef {import("./timeline_feed.js").Lane} Lane */
/** @typedef {import("./timeline_feed.js").Mark} Mark */
/** @typedef {import("./timeline_feed.js").Shown} Shown */
/** @typedef {import("./timeline_rows.js").Item} Item */
/** @typedef {import("./timeline_rows.js").Row} Row */
/** Slanted lines; period: the pixels after which they look the same.
 * @typedef {{pattern: CanvasPattern | null, turn: DOMMatrix, period: number}} Hatch */
/** @typedef {{colours: Record<string, string>, sans: string, mono: string, hatch: Hatch, lost: Hatch}} Theme */
/** What one picture needs; x: seconds to pixels, time: the way back; origin: the pixel of second 0; left, right: what is
 * drawn of the lanes; sumMost: 0 if no sum is shown.
 * @typedef {{context: CanvasRenderingContext2D, width: number, height: number, gutter: number, scroll: number,
 *   rows: Row[], whole: Shown, detail: Shown | null, x: (time: number) => number, time: (pixel: number) => number,
 *   origin: number, scale: number, left: number, right: number, gaps: [number, number][], chosen: Item | null,
 *   hovered: Item | null, sumMost: number, notes: boolean, theme: Theme}} Scene */

export const AXIS = 26;
export const EDGE = 8;
const STEP_PX = 3;
const PIN_PX = 6;
const RING_PX = 14;
const COLOURS =
  "surface inset line grid text text-2 text-3 held held-line compute startup queue fail fail-soft late late-fill " +
  "late-soft crash crash-soft still still-soft ok accent accent-soft";
/** @type {Record<string, [string, string]>} line and pale fill by state */
const BAD = { f: ["fail", "fail-soft"], t: ["late", "late-soft"], x: ["crash", "crash-soft"], c: ["still", "still-soft"] };
/** @type {Record<string, number[]>} strokes of a glyph: a cross, a clock, a star, a slashed ring */
const GLYPHS = {
  f: [-3, -3, 3, 3, 3, -3, -3, 3],
  t: [0, -2.4, 0, 0, 0, 0, 1.7, 1.2],
  x: [0, -4.5, 0, 4.5, -4.5, 0, 4.5, 0, -3, -3, 3, 3, 3, -3, -3, 3],
  c: [-2.6, 2.6, 2.6, -2.6],
};

/** Read the colours of the style sheet as they are now. @param {HTMLElement} host @returns {Theme} */
export function readTheme(host) {
  const probe = host.appendChild(document.createElement("span"));
  /** @type {Record<string, string>} */ const colours = {};
  for (const name of COLOURS.split(" ")) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  const sans = getComputedStyle(probe).fontFamily;
  probe.style.fontFamily = "var(--mono)";
  const mono = getComputedStyle(probe).fontFamily;
  probe.remove();
  return { colours, sans, mono, hatch: hatch(colours["held-line"], 0.42, 5, 45), lost: hatch(colours.crash, 0.55, 6, -45) };
}

/** @param {string} colour @param {number} alpha @param {number} step @param {number} angle @returns {Hatch} */
function hatch(colour, alpha, step, angle) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(step * devicePixelRatio);
  const context = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  const turn = new DOMMatrix().rotate(angle).scale(step / tile.width);
  const period = step * Math.SQRT2;
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fillRect(0, 0, devicePixelRatio, tile.height);
  return { pattern: context.createPattern(tile, "repeat"), turn, period };
}

/** Draws one scene. */
export class Painter {
  /** @param {Scene} scene */
  constructor(scene) {
    this.s = scene;
    this.c = scene.context;
    this.k = scene.theme.colours;
    this.bold = `550 11px ${scene.theme.sans}`;
    const { scroll, height } = scene;
    this.seen = scene.rows.filter((row) => row.y + row.height + 8 > scroll && row.y - 8 < scroll + height - AXIS);
    this.lanes = this.seen.filter((row) => !row.head);
  }

  /** All of it. @param {HTMLCanvasElement} backdrop what `paintLanes` drew */
  paint(backdrop) {
    const { width, height, gutter, left, right } = this.s;
    this.c.clearRect(0, 0, width, height);
    this.#axis();
    this.#scrolled(0, width, () => this.seen.forEach((row) => this.#name(row)));
    this.#clipped(left, 0, right - left, height, () => this.c.drawImage(backdrop, 0, 0, width, height));
    this.#scrolled(gutter - 1, width, () => {
      for (const row of this.lanes) this.#over(row);
      this.#now();
    });
  }

  /** What only moves in a pan: lanes with their bars and pins, between `left` and `right`. */
  paintLanes() {
    const { left, right, height } = this.s;
    this.c.clearRect(left, 0, right - left, height);
    this.#scrolled(left, right, () => {
      for (const row of this.lanes) this.#lane(row);
      for (const row of this.lanes) this.#pins(row).forEach((pin) => this.#pin(row, ...pin));
    });
  }

  /** Draw below the axis, in the coordinates of the rows. @param {number} left @param {number} right @param {() => void} draw */
  #scrolled(left, right, draw) {
    this.#clipped(left, AXIS, right - left, this.s.height - AXIS, () => {
      this.c.translate(0, AXIS - this.s.scroll);
      draw();
    });
  }

  /** @param {number} x @param {number} y @param {number} w @param {number} h @param {() => void} draw */
  #clipped(x, y, w, h, draw) {
    this.c.save();
    this.c.beginPath();
    this.c.rect(x, y, w, h);
    this.c.clip();
    draw();
    this.c.restore();
  }

  /** @param {string} words @param {number} x @param {number} y
   * @param {{colour?: string, align?: CanvasTextAlign, font?: string, halo?: boolean, most?: number}} [look] */
  #text(words, x, y, { colour = "text-3", align = "left", font = `11px ${this.s.theme.sans}`, halo = false, most = 0 } = {}) {
    Object.assign(this.c, { font, textAlign: align, fillStyle: this.k[colour] });
    if (halo) {
      Object.assign(this.c, { strokeStyle: this.k.surface, lineWidth: 5, lineJoin: "round" });
      this.c.strokeText(words, x, y);
    }
    let kept = words;
    while (most && kept.length > 1 && this.c.measureText(kept).width > most) kept = `${kept.slice(0, -2)}…`;
    this.c.fillText(kept, x, y);
  }

  /** @param {string} colour @param {number} width @param {number[]} points x, y, x, y: one line each */
  #lines(colour, width, ...points) {
    Object.assign(this.c, { strokeStyle: this.k[colour], lineWidth: width });
    this.c.beginPath();
    for (let i = 0; i < points.length; i += 4) {
      this.c.moveTo(points[i], points[i + 1]);
      this.c.lineTo(points[i + 2], points[i + 3]);
    }
    this.c.stroke();
  }

  /** @param {string} colour @param {number} x @param {number} y @param {number} w @param {number} h */
  #box(colour, x, y, w, h) {
    this.c.fillStyle = this.k[colour];
    this.c.fillRect(x, y, w, h);
  }

  /** @param {string} colour @param {number} line @param {number} x @param {number} y @param {number} w @param {number} h */
  #frame(colour, line, x, y, w, h) {
    Object.assign(this.c, { strokeStyle: this.k[colour], lineWidth: line });
    this.c.strokeRect(x, y, w, h);
  }

  /** A disc or a ring. @param {string} fill @param {string} stroke @param {number} x @param {number} y @param {number} radius */
  #circle(fill, stroke, x, y, radius, from = 0, to = 7) {
    Object.assign(this.c, { fillStyle: this.k[fill] ?? "transparent", strokeStyle: this.k[stroke] ?? "transparent", lineWidth: 1.5 });
    this.c.beginPath();
    this.c.arc(x, y, radius, from, to, from < 0);
    this.c.fill();
    this.c.stroke();
  }

  /** @param {string} colour @param {number[]} points of a polygon */
  #shape(colour, ...points) {
    this.c.fillStyle = this.k[colour];
    this.c.beginPath();
    for (let i = 0; i < points.length; i += 2) this.c.lineTo(points[i], points[i + 1]);
    this.c.fill();
  }

  #axis() {
    const { gutter, width, height, gaps, x, time } = this.s;
    for (const [from, to] of gaps) {
      const [a, b] = [Math.max(gutter, x(from)), x(to)];
      if (b < gutter) continue;
      this.#box("inset", a, 18, b - a, height);
      this.c.setLineDash([2, 3]);
      this.#lines("text-3", 1, a, 18, a, height, b, 18, b, height);
      this.c.setLineDash([]);
    }
    const { step, values } = ticks(time(gutter), time(width - EDGE), Math.max(2, Math.floor((width - gutter) / 80)));
    const open = values.filter((value) => !gaps.some(([from, to]) => value > from && value < to));
    let free = -Infinity;
    for (const value of open) {
      const at = Math.round(x(value)) + 0.5;
      this.#lines("grid", 1, at, 20, at, height);
      if (at - free < 44) continue;
      const { words, unit } = tickLabel(value, step);
      this.#text(value === open.at(-1) ? `${words} ${unit}` : words, Math.min(at, width - 16), 12, { align: "center" });
      free = at;
    }
  }

  /** A worker's name with what happened to it, or the name of a lane. @param {Row} row */
  #name(row) {
    const { gutter, width, notes, theme } = this.s;
    if (!row.head) {
      const size = Math.min(10.5, row.height);
      this.#text(row.name, 0, row.y + row.height / 2 + size / 3, { colour: "text-2", font: `${size}px ${theme.mono}`, most: gutter - 8 });
      return;
    }
    const long = !notes || !row.note;
    this.#text(row.name, 0, row.y + 14, { colour: "text", font: `600 12px ${theme.sans}`, most: long ? width : gutter - 8 });
    if (!long) this.#text(row.note, gutter, row.y + 14, { colour: "text-2", most: width - EDGE - gutter });
    this.#box("line", 0, row.y + 21, width - EDGE, 1);
  }

  /** The window's own data where there are some, the whole job's beside it. @param {Row} row */
  #lane(row) {
    const { left, right, x, detail, whole } = this.s;
    const end = whole.now === null ? right : Math.min(right, x(whole.now));
    if (end > left) this.#box("inset", left, row.y, end - left, row.height);
    this.#waits(row);
    const from = detail ? Math.min(right, Math.max(left, x(detail.from))) : right;
    const to = detail ? Math.max(from, Math.min(right, x(detail.to))) : right;
    this.#part(row, row.whole, whole, left, from);
    if (detail) this.#part(row, row.detail, detail, from, to);
    this.#part(row, row.whole, whole, to, right);
  }

  /** @param {Row} row @param {Lane | null} lane @param {Shown} shown @param {number} left @param {number} right */
  #part(row, lane, shown, left, right) {
    if (!lane || right <= left) return;
    this.#clipped(left, row.y - 1, right - left, row.height + 2, () => {
      if (lane.bins) this.#bins(row, lane.bins, shown);
      if (lane.bars) this.#bars(row, lane.bars);
    });
  }

  /** Queue, start-up, and the time after a worker was lost. @param {Row} row */
  #waits(row) {
    const { x, left, theme } = this.s;
    const middle = row.y + row.height / 2;
    this.c.save();
    this.c.setLineDash([0.5, 4]);
    this.c.lineCap = "round";
    for (const [from, to] of row.whole?.queue ?? []) this.#lines("queue", 1.5, x(from) + 1, middle, x(to) - 2, middle);
    this.c.restore();
    for (const [from, to] of row.whole?.starts ?? []) {
      const at = Math.max(left, x(from));
      if (x(to) > left) this.#box("startup", at, row.y + row.height * 0.3, Math.max(1.5, x(to) - at), row.height * 0.4);
    }
    for (const mark of row.marks) {
      if (mark.kind !== "worker_lost") continue;
      const from = Math.max(left, x(lastWork(row, mark)));
      this.c.fillStyle = theme.lost.pattern ?? this.k["crash-soft"];
      this.c.fillRect(from, row.y, Math.max(0, x(mark.at) - from), row.height);
    }
  }

  /** Boxes on the floor of a lane: solid for what computed, hatch above it. Filled one by one, which is faster than a
   * path of thousands. @param {Row} row @param {number[]} boxes left, width and both shares of the height, of each */
  #boxes({ y, height }, boxes) {
    const fill = (/** @type {CanvasPattern | string} */ style, /** @type {number} */ share, below = 0) => {
      this.c.fillStyle = style;
      for (let i = 0; i < boxes.length; i += 4) {
        const tall = boxes[i + share] && Math.max(1, height * Math.min(1, boxes[i + share])) - below;
        this.c.fillRect(boxes[i], y + height - tall, boxes[i + 1], tall);
      }
    };
    fill(this.k["held-line"], 2); // Its edge, one pixel of which stays.
    fill(this.k.held, 2, 1);
    fill(this.s.theme.hatch.pattern ?? this.k.held, 2, 1);
    fill(this.k.compute, 3);
  }

  /** Bins, joined until a step is wide enough to see. @param {Row} row @param {import("./timeline_feed.js").Bins} bins @param {Shown} shown */
  #bins(row, bins, shown) {
    const { x, time, left, right } = this.s;
    const size = shown.bin_s ?? 1;
    const joined = Math.max(1, Math.ceil(STEP_PX / Math.max(1e-9, x(shown.from + size) - x(shown.from))));
    const edge = (/** @type {number} */ bin) => Math.round(x(shown.from + Math.min(bin, bins.busy.length) * size));
    const mean = (/** @type {number[]} */ shares, /** @type {number} */ bin) => {
      const part = shares.slice(bin, bin + joined);
      return part.reduce((sum, share) => sum + share, 0) / part.length / 100;
    };
    const boxes = [];
    const last = Math.min(bins.busy.length, Math.ceil((time(right) - shown.from) / size));
    for (let bin = Math.max(0, Math.floor((time(left) - shown.from) / size / joined)) * joined; bin < last; bin += joined) {
      boxes.push(edge(bin), edge(bin + joined) - edge(bin), mean(bins.busy, bin), mean(bins.cpu, bin));
    }
    this.#boxes(row, boxes);
  }

  /** Bars; narrow ones have no edge, and where they crowd they are shares of a step. @param {Row} row @param {import("./timeline_feed.js").Bars} bars */
  #bars(row, bars) {
    const { x, time, left: from, right, origin } = this.s;
    // In steps from second 0 on, so that a pan does not change what they show.
    const base = origin + Math.floor((from - origin) / STEP_PX) * STEP_PX;
    const first = Math.max(0, after(bars.start, time(base)) - 1);
    const last = after(bars.start, time(right + STEP_PX));
    const count = bars.start.length;
    const crowded = x(bars.start[count - 1]) - x(bars.start[0]) < count * STEP_PX * 2;
    const least = crowded ? STEP_PX : 1.5;
    const busy = new Float32Array(Math.ceil((right - base) / STEP_PX) + 1);
    const cpu = new Float32Array(busy.length);
    /** @type {number[]} */ const boxes = [];
    const edges = new Path2D();
    for (let i = first; i < last; i += 1) {
      const left = x(bars.start[i]);
      const w = x(bars.start[i] + bars.wall[i]) - left;
      if (left + w < base) continue;
      const share = bars.wall[i] ? Math.min(1, bars.cpu[i] / bars.wall[i]) : 0;
      if (w < least) spread(busy, cpu, (left - base) / STEP_PX, (left + w - base) / STEP_PX, share);
      else if (bars.state[i] in BAD) this.#badBar(row, left, w - 0.8, share, bars.state[i]);
      else boxes.push(left, w < 4 ? w * 0.75 : w - 0.8, 1, share);
      if (w >= Math.max(4, least) && !(bars.state[i] in BAD)) edges.rect(left, row.y, w - 0.8, row.height);
    }
    busy.forEach((share, i) => share && boxes.push(base + i * STEP_PX, STEP_PX, share, cpu[i]));
    this.#boxes(row, boxes);
    Object.assign(this.c, { strokeStyle: this.k["held-line"], lineWidth: 0.6 });
    this.c.stroke(edges);
  }

  /** @param {Row} row @param {number} left @param {number} w @param {number} share @param {string} state */
  #badBar(row, left, w, share, state) {
    const [strong, pale] = BAD[state];
    this.#box(pale, left, row.y, w, row.height);
    this.#box(strong, left, row.y + row.height * (1 - share), w, row.height * share);
    this.#frame(strong, 1, left + 0.5, row.y + 0.5, Math.max(0.5, w - 1), row.height - 1);
    if (w < 9) return;
    const [x, y] = [left + w / 2, row.y + row.height / 2];
    this.c.lineCap = "round";
    this.#lines(strong, state === "f" ? 1.75 : 1.3, ...GLYPHS[state].map((at, i) => at + (i % 2 ? y : x)));
    this.c.lineCap = "butt";
    if (state === "t" || state === "c") this.#circle("", strong, x, y, 4);
  }

  /** What lies over the bars: what runs, the sum, marks, words and the choice. @param {Row} row */
  #over(row) {
    const { x, whole, hovered, chosen, sumMost } = this.s;
    const running = row.whole?.running ?? null;
    if (running !== null && whole.now !== null) this.#running(row, x(running), x(whole.now));
    if (sumMost && row.sums.length) this.#sum(row);
    this.#marks(row);
    this.#pinWords(row);
    for (const item of [hovered, chosen]) {
      if (item?.key !== row.key) continue;
      const left = x(item.start);
      const w = Math.max(3, x(item.start + item.wall) - left) + 2;
      this.#frame(item === chosen ? "text" : "text-3", item === chosen ? 2 : 1, left - 1.5, row.y - 1.5, w, row.height + 3);
    }
  }

  /** Marks; of rings that would lie on one another the first. @param {Row} row */
  #marks(row) {
    const draw = { worker_lost: this.#lost, takeover: this.#takeover, run_again: this.#again, refused_write: this.#refused };
    let free = -Infinity;
    for (const mark of row.marks) {
      // A write may come long after the job has ended.
      const at = this.s.x(Math.min(mark.at, this.s.whole.end));
      if (mark.kind === "run_again" && at < free) continue;
      draw[mark.kind]?.call(this, row, mark, at, row.y + row.height / 2);
      if (mark.kind === "run_again") free = at + RING_PX;
    }
  }

  /** An item that has not ended, from when its lane was free on. @param {Row} row @param {number} from @param {number} to */
  #running(row, from, to) {
    this.c.setLineDash([3, 2]);
    this.#frame("compute", 1.5, from + 0.75, row.y + 0.75, Math.max(2, to - from - 1.5), row.height - 1.5);
    this.c.setLineDash([]);
  }

  /** Failed items too narrow for their glyph, where they are drawn. @param {Row} row @returns {[Item, number, number][]} */
  #pins(row) {
    const { x, whole, detail, left, right } = this.s;
    const isBeside = (/** @type {Item} */ { start }) => !detail || start < detail.from || start > detail.to;
    const items = [...failuresOf(row.key, row.whole, whole).filter(isBeside), ...failuresOf(row.key, row.detail, detail)];
    /** @type {[Item, number, number][]} */ const found = [];
    for (const item of items) {
      const w = x(item.start + item.wall) - x(item.start);
      const at = x(item.start) + w / 2;
      if (at > left - PIN_PX && at < right + PIN_PX && (w < 9 || item.more !== undefined)) found.push([item, at, w]);
    }
    return found;
  }

  /** The numbers of the items at the pins of bins. @param {Row} row */
  #pinWords(row) {
    if (!row.whole?.bins && !row.detail?.bins) return;
    let free = -Infinity;
    for (const [item, at] of this.#pins(row)) {
      if (item.more === undefined || at < free) continue;
      const words = `item ${count(item.index)}${item.more ? ` and ${count(item.more)} more` : ""}`;
      const align = at < this.s.right - 130 ? "left" : "right";
      const look = { colour: "fail", font: this.bold, halo: true };
      this.#text(words, at + (align === "left" ? 9 : -9), row.y - 1, { ...look, align });
      free = at + 130;
    }
  }

  /** @param {Row} row @param {Item} item @param {number} at @param {number} w */
  #pin(row, item, at, w) {
    const binned = item.more !== undefined;
    const [size, colour] = [binned ? 5 : 3.5, BAD[item.state][0]];
    if (binned || w < 2.5) this.#box(colour, at - 1, row.y - 1, 2, row.height + 2);
    this.#shape(colour, at - size, row.y - 1 - size, at + size, row.y - 1 - size, at, row.y + 0.5);
  }

  /** Whether this row has a mark's words: the middle one does. @param {Row} row @param {Mark} mark */
  #speaks(row, mark) {
    const own = this.s.rows.filter((each) => each.marks.includes(mark));
    return this.s.notes && own[(own.length - 1) >> 1] === row;
  }

  /** @param {Row} row @param {Mark} mark @param {number} end @param {number} y */
  #lost(row, mark, end, y) {
    const since = lastWork(row, mark);
    const x = this.s.x(since);
    const size = Math.min(5.5, row.height / 2);
    const arm = size * 0.4;
    this.#box("crash", x - 0.75, row.y - 3, 1.5, row.height + 6);
    this.#circle("crash", "", x, y, size);
    this.#lines("surface", 1.5, x - arm, y - arm, x + arm, y + arm, x - arm, y + arm, x + arm, y - arm);
    if (this.s.sumMost || !this.#speaks(row, mark) || end - x < 130) return;
    const words = `${end - x < 170 ? "no sign" : "no sign of life"} for ${(mark.at - (mark.from ?? since)).toFixed(1)} s`;
    const middle = (Math.max(x, this.s.left) + Math.min(end, this.s.right)) / 2;
    this.#text(words, middle, y + 4, { colour: "crash", align: "center", halo: true, font: this.bold });
  }

  /** @param {Row} row @param {Mark} mark @param {number} x @param {number} y */
  #takeover(row, mark, x, y) {
    this.#box("text", x - 1.5, row.y - 3, 1.5, row.height + 6);
    this.#shape("text", x - 1.5, row.y - 3, x + 6.5, row.y + 1.2, x - 1.5, row.y + 5.4);
    const free = (row.whole?.bars?.start[0] ?? 0) >= mark.at - 1e-3;
    if (!free || !this.#speaks(row, mark) || x - this.s.gutter < 110) return;
    this.#text(mark.text.split(",")[0], x - 6, y + 4, { colour: "text", align: "right", halo: true, font: this.bold });
  }

  /** In the upper left corner, beside the glyph of a failed item. @param {Row} row @param {Mark} _ @param {number} start */
  #again(row, _, start) {
    const [x, y, size] = [start + Math.min(8, row.height / 2), row.y + Math.min(8, row.height / 2), Math.min(4, row.height / 4)];
    this.#circle("surface", "", x, y, size + 2.5);
    this.#circle("", "late", x, y, size, -0.6, 0.2);
    this.#shape("late", x + size * 0.3, y - size * 0.1, x + size * 1.4, y - size * 0.1, x + size * 1.4, y - size * 1.2);
  }

  /** A slashed ring: a write that came after the batch was lost. @param {Row} row @param {Mark} _ @param {number} x @param {number} y */
  #refused(row, _, x, y) {
    const size = Math.min(5, row.height / 2.5);
    this.#circle("surface", "text", x, y, size);
    this.#lines("text", 1.5, x - size * 0.7, y + size * 0.7, x + size * 0.7, y - size * 0.7);
  }

  /** The sum that the lane saw, from its floor to the largest sum of all. @param {Row} row */
  #sum(row) {
    const { x, sumMost } = this.s;
    const y = (/** @type {number} */ value) => row.y + row.height - 1 - (value / sumMost) * (row.height - 2);
    let level = 0;
    this.c.beginPath();
    for (const [time, value] of row.sums) {
      this.c.lineTo(x(time), y(level));
      this.c.lineTo(x(time), y(value));
      level = value;
    }
    Object.assign(this.c, { strokeStyle: this.k["late-fill"], lineWidth: 1.5 });
    this.c.stroke();
    const at = Math.min(this.s.right - 4, Math.max(this.s.gutter + 40, x(row.sums[row.sums.length - 1][0]) + 30));
    this.#text(count(level), at, row.y + row.height / 2 + 4, { colour: "late", align: "right", halo: true, font: this.bold });
  }

  /** The whole job in one row, with the window that the lanes show.
   * @param {number[]} busy @param {(share: number) => number} at of the job, in shown seconds @param {{from: number, to: number}} window */
  paintOverview(busy, at, window) {
    const { width, height, gutter, right } = this.s;
    const x = (/** @type {number} */ shown) => gutter + (shown / at(1)) * (right - gutter);
    this.c.clearRect(0, 0, width, height);
    this.#text(gutter > 70 ? "whole job" : "all", 0, height / 2 + 4, { colour: "text-2" });
    this.#box("inset", gutter, 1, right - gutter, height - 2);
    this.c.globalAlpha = 0.55;
    busy.forEach((share, i) => {
      const [a, b, tall] = [x(at(i / busy.length)), x(at((i + 1) / busy.length)), (share / 100) * (height - 4)];
      this.#box("compute", a, height - 2 - tall, b - a + 0.3, tall);
    });
    const a = Math.max(gutter, x(window.from));
    const b = Math.min(right, Math.max(a + 4, x(window.to)));
    this.c.globalAlpha = 0.45;
    this.#box("accent-soft", a, 1, b - a, height - 2);
    this.c.globalAlpha = 1;
    this.#frame("accent", 1.5, a + 0.75, 1.75, b - a - 1.5, height - 3.5);
  }

  #now() {
    const { whole, scroll, height, width } = this.s;
    if (whole.now === null) return;
    const x = this.s.x(whole.now);
    this.#box("ok", x - 0.5, scroll - 6, 1, height);
    const side = x > width - 36 ? -4 : 4;
    this.#text("now", x + side, scroll + 6, { colour: "ok", font: this.bold, halo: true, align: side < 0 ? "right" : "left" });
  }
}

/** When this lane of a lost worker was last known to work. @param {Row} row @param {Mark} mark */
function lastWork(row, mark) {
  const { start, wall } = row.whole?.bars ?? { start: [], wall: [] };
  const last = after(start, mark.at) - 1;
  return last < 0 ? (mark.from ?? mark.at) : Math.min(mark.at, start[last] + wall[last]);
}

/** Add a bar to the steps that it covers. @param {Float32Array} busy @param {Float32Array} cpu @param {number} left @param {number} right @param {number} share */
function spread(busy, cpu, left, right, share) {
  for (let i = Math.max(0, Math.floor(left)); i <= Math.min(busy.length - 1, Math.floor(right)); i += 1) {
    const part = Math.max(0, Math.min(right, i + 1) - Math.max(left, i));
    busy[i] += part;
    cpu[i] += part * share;
  }
}
