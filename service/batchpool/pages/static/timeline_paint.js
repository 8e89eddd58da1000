// Draws lanes on a canvas: solid area is CPU time, hatch is waiting; states differ by glyph as well as by colour.

import { failuresOf } from "./timeline_rows.js";
import { after, count, tickLabel, ticks } from "./timeline_scale.js";

/** @typedef {import("./timeline_feed.js").Lane} Lane */
/** @typedef {import("./timeline_feed.js").Mark} Mark */
/** @typedef {import("./timeline_feed.js").Shown} Shown */
/** @typedef {import("./timeline_rows.js").Item} Item */
/** @typedef {import("./timeline_rows.js").Row} Row */
/** @typedef {{colours: Record<string, string>, sans: string, mono: string, hatch: CanvasPattern | null, lost: CanvasPattern | null}} Theme */
/** What one picture needs; x: seconds to pixels, time: the way back; sumMost: 0 if no sum is shown.
 * @typedef {{context: CanvasRenderingContext2D, width: number, height: number, gutter: number, scroll: number,
 *   rows: Row[], whole: Shown, detail: Shown | null, x: (time: number) => number, time: (pixel: number) => number,
 *   gaps: [number, number][], chosen: Item | null, hovered: Item | null, sumMost: number, notes: boolean, theme: Theme}} Scene */

export const AXIS = 26;
export const EDGE = 8;
const STEP_PX = 3;
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

/** @param {string} colour @param {number} alpha @param {number} step @param {number} angle */
function hatch(colour, alpha, step, angle) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(step * devicePixelRatio);
  const context = tile.getContext("2d");
  if (!context) return null;
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fillRect(0, 0, devicePixelRatio, tile.height);
  const pattern = context.createPattern(tile, "repeat");
  pattern?.setTransform(new DOMMatrix().rotate(angle).scale(step / tile.width));
  return pattern;
}

/** Draws one scene. */
export class Painter {
  /** @param {Scene} scene */
  constructor(scene) {
    this.s = scene;
    this.c = scene.context;
    this.k = scene.theme.colours;
    this.right = scene.width - EDGE;
    this.bold = `550 11px ${scene.theme.sans}`;
  }

  paint() {
    const { width, height, gutter, scroll, rows } = this.s;
    this.c.clearRect(0, 0, width, height);
    this.#axis();
    this.#clipped(0, AXIS, width, height - AXIS, () => {
      this.c.translate(0, AXIS - scroll);
      const seen = rows.filter((row) => row.y + row.height + 8 > scroll && row.y - 8 < scroll + height - AXIS);
      for (const row of seen) this.#ground(row);
      this.#clipped(gutter - 1, scroll - AXIS, width - gutter + 1, height + AXIS, () => {
        const lanes = seen.filter((row) => !row.head);
        for (const row of lanes) this.#lane(row);
        for (const row of lanes) this.#over(row);
        this.#now();
      });
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
    const { step, values } = ticks(time(gutter), time(this.right), Math.max(2, Math.floor((width - gutter) / 80)));
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

  /** A row's name and background. @param {Row} row */
  #ground(row) {
    const { gutter, width, notes, theme } = this.s;
    if (!row.head) {
      const size = Math.min(10.5, row.height);
      this.#box("inset", gutter, row.y, this.right - gutter, row.height);
      this.#text(row.name, 0, row.y + row.height / 2 + size / 3, { colour: "text-2", font: `${size}px ${theme.mono}`, most: gutter - 8 });
      return;
    }
    const long = !notes || !row.note;
    this.#text(row.name, 0, row.y + 14, { colour: "text", font: `600 12px ${theme.sans}`, most: long ? width : gutter - 8 });
    if (!long) this.#text(row.note, gutter, row.y + 14, { colour: "text-2", most: this.right - gutter });
    this.#box("line", 0, row.y + 21, this.right, 1);
  }

  /** The window's own data where there are some, the whole job's beside it. @param {Row} row */
  #lane(row) {
    const { gutter, x, detail, whole } = this.s;
    this.#waits(row);
    const from = detail ? Math.min(this.right, Math.max(gutter, x(detail.from))) : this.right;
    const to = detail ? Math.max(from, Math.min(this.right, x(detail.to))) : this.right;
    this.#part(row, row.whole, whole, gutter, from);
    if (detail) this.#part(row, row.detail, detail, from, to);
    this.#part(row, row.whole, whole, to, this.right);
  }

  /** @param {Row} row @param {Lane | null} lane @param {Shown} shown @param {number} left @param {number} right */
  #part(row, lane, shown, left, right) {
    if (!lane || right - left < 0.5) return;
    this.#clipped(left, row.y - 1, right - left, row.height + 2, () => {
      if (lane.bins) this.#bins(row, lane.bins, shown);
      if (lane.bars) this.#bars(row, lane.bars);
    });
  }

  /** Queue, start-up, and the time after a worker was lost. @param {Row} row */
  #waits(row) {
    const { x, gutter, theme } = this.s;
    const middle = row.y + row.height / 2;
    this.c.save();
    this.c.setLineDash([0.5, 4]);
    this.c.lineCap = "round";
    for (const [from, to] of row.whole?.queue ?? []) this.#lines("queue", 1.5, x(from) + 1, middle, x(to) - 2, middle);
    this.c.restore();
    for (const [from, to] of row.whole?.starts ?? []) {
      const left = Math.max(gutter, x(from));
      if (x(to) > gutter) this.#box("startup", left, row.y + row.height * 0.3, Math.max(1.5, x(to) - left), row.height * 0.4);
    }
    for (const mark of row.marks) {
      if (mark.kind !== "worker_lost" || !theme.lost) continue;
      const from = Math.max(gutter, x(lastWork(row, mark)));
      this.c.fillStyle = theme.lost;
      this.c.fillRect(from, row.y, Math.max(0, x(mark.at) - from), row.height);
    }
  }

  /** Narrow bars, one by one: a path of thousands of boxes is slow. @param {Row} row @param {number[]} bars left, width, share */
  #narrow({ y, height }, bars) {
    for (const style of [this.k.held, this.s.theme.hatch ?? this.k.held]) {
      this.c.fillStyle = style;
      for (let i = 0; i < bars.length; i += 3) this.c.fillRect(bars[i], y, bars[i + 1], height);
    }
    this.c.fillStyle = this.k.compute;
    for (let i = 0; i < bars.length; i += 3) this.c.fillRect(bars[i], y + height * (1 - bars[i + 2]), bars[i + 1], height * bars[i + 2]);
  }

  /** @param {Path2D} walls @param {Path2D} cpus */
  #work(walls, cpus) {
    this.c.fillStyle = this.k.held;
    this.c.fill(walls);
    this.c.fillStyle = this.s.theme.hatch ?? this.k.held;
    this.c.fill(walls);
    Object.assign(this.c, { strokeStyle: this.k["held-line"], lineWidth: 0.6 });
    this.c.stroke(walls);
    this.c.fillStyle = this.k.compute;
    this.c.fill(cpus);
  }

  /** Bins, joined until a step is wide enough to see. @param {Row} row @param {import("./timeline_feed.js").Bins} bins @param {Shown} shown */
  #bins(row, bins, shown) {
    const { x, time, gutter, width } = this.s;
    const size = shown.bin_s ?? 1;
    const joined = Math.max(1, Math.ceil(STEP_PX / Math.max(1e-9, x(shown.from + size) - x(shown.from))));
    const first = Math.max(0, Math.floor((time(gutter) - shown.from) / size / joined)) * joined;
    const last = Math.min(bins.busy.length, Math.ceil((time(width) - shown.from) / size));
    const edges = [];
    for (let bin = first; bin < last + joined; bin += joined) edges.push(x(shown.from + Math.min(bin, bins.busy.length) * size));
    const mean = (/** @type {number[]} */ values) => (/** @type {number} */ i) => {
      const part = values.slice(first + i * joined, first + (i + 1) * joined);
      return part.reduce((sum, share) => sum + share, 0) / Math.max(1, part.length) / 100;
    };
    this.#work(steps(edges, mean(bins.busy), row), steps(edges, mean(bins.cpu), row));
  }

  /** Bars; narrow ones have no edge, and where they crowd they are shares of a step. @param {Row} row @param {import("./timeline_feed.js").Bars} bars */
  #bars(row, bars) {
    const { x, time, gutter, width } = this.s;
    const first = Math.max(0, after(bars.start, time(gutter)) - 1);
    const last = after(bars.start, time(width));
    const least = last - first > (width - gutter) / STEP_PX / 2 ? STEP_PX : 1.5;
    const busy = new Float32Array(Math.max(2, Math.ceil((width - gutter) / STEP_PX) + 1));
    const cpu = new Float32Array(busy.length);
    const [walls, cpus] = [new Path2D(), new Path2D()];
    /** @type {number[]} */ const narrow = [];
    let thin = false;
    for (let i = first; i < last; i += 1) {
      const left = x(bars.start[i]);
      const w = x(bars.start[i] + bars.wall[i]) - left;
      if (left + w < gutter) continue;
      const share = bars.wall[i] ? Math.min(1, bars.cpu[i] / bars.wall[i]) : 0;
      if (w < least) {
        thin = true;
        spread(busy, cpu, (left - gutter) / STEP_PX, (left + w - gutter) / STEP_PX, share);
      } else if (bars.state[i] in BAD) {
        this.#badBar(row, left, w - 0.8, share, bars.state[i]);
      } else if (w < 4) {
        narrow.push(left, w * 0.75, share);
      } else {
        walls.rect(left, row.y, w - 0.8, row.height);
        cpus.rect(left, row.y + row.height * (1 - share), w - 0.8, row.height * share);
      }
    }
    this.#work(walls, cpus);
    this.#narrow(row, narrow);
    if (!thin) return;
    const edges = Array.from(busy, (_, i) => gutter + i * STEP_PX);
    this.#work(steps(edges, (i) => Math.min(1, busy[i]), row), steps(edges, (i) => Math.min(1, cpu[i]), row));
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

  /** What lies over the bars: the sum, pins, marks and the choice. @param {Row} row */
  #over(row) {
    if (this.s.sumMost && row.sums.length) this.#sum(row);
    this.#pins(row, row.whole, this.s.whole);
    this.#pins(row, row.detail, this.s.detail);
    const draw = { worker_lost: this.#lost, takeover: this.#takeover, run_again: this.#again };
    for (const mark of row.marks) draw[mark.kind]?.call(this, row, mark, this.s.x(mark.at), row.y + row.height / 2);
    for (const item of [this.s.hovered, this.s.chosen]) {
      if (item?.key !== row.key) continue;
      const left = this.s.x(item.start);
      const chosen = item === this.s.chosen;
      const w = Math.max(3, this.s.x(item.start + item.wall) - left) + 2;
      this.#frame(chosen ? "text" : "text-3", chosen ? 2 : 1, left - 1.5, row.y - 1.5, w, row.height + 3);
    }
  }

  /** Failed items too narrow for their glyph. @param {Row} row @param {Lane | null} lane @param {Shown | null} shown */
  #pins(row, lane, shown) {
    const { x, detail, gutter, width } = this.s;
    let free = -Infinity;
    for (const item of failuresOf(row.key, lane, shown)) {
      if (shown !== detail && detail && item.start >= detail.from && item.start <= detail.to) continue;
      const [left, w] = [x(item.start), x(item.start + item.wall) - x(item.start)];
      if (left + w < gutter || left > width || (w >= 9 && item.more === undefined)) continue;
      this.#pin(row, item, left + w / 2, w);
      if (item.more === undefined || left < free) continue;
      const words = `item ${count(item.index)}${item.more ? ` and ${count(item.more)} more` : ""}`;
      const align = left > width - 130 ? "right" : "left";
      this.#text(words, left + w / 2 + (align === "right" ? -9 : 9), row.y - 1, { colour: "fail", font: this.bold, halo: true, align });
      free = left + 130;
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
    if (!this.#speaks(row, mark) || end - x < 170) return;
    const words = `no sign of life for ${(mark.at - (mark.from ?? since)).toFixed(1)} s`;
    const middle = (Math.max(x, this.s.gutter) + Math.min(end, this.right)) / 2;
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

  /** @param {Row} row @param {Mark} _ @param {number} start @param {number} y */
  #again(row, _, start, y) {
    const [x, size] = [start + Math.min(11, row.height / 2), Math.min(4, row.height / 4)];
    this.#circle("surface", "", x, y, size + 2.5);
    this.#circle("", "late", x, y, size, -0.6, 0.2);
    this.#shape("late", x + size * 0.3, y - size * 0.1, x + size * 1.4, y - size * 0.1, x + size * 1.4, y - size * 1.2);
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
    const at = Math.min(this.right - 4, Math.max(this.s.gutter + 40, x(row.sums[row.sums.length - 1][0]) + 30));
    this.#text(count(level), at, row.y + row.height / 2 + 4, { colour: "late", align: "right", halo: true, font: this.bold });
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

/** A stepped area over the lane's floor. @param {number[]} edges @param {(i: number) => number} share @param {Row} row */
function steps(edges, share, row) {
  const path = new Path2D();
  const floor = row.y + row.height;
  let level = 0;
  for (let i = 0; i < edges.length; i += 1) {
    const part = i + 1 < edges.length ? share(i) * row.height : 0;
    const next = part ? Math.max(1, Math.round(part)) : 0;
    if (next === level) continue;
    if (!level) path.moveTo(edges[i], floor);
    path.lineTo(edges[i], floor - level);
    path.lineTo(edges[i], floor - next);
    level = next;
  }
  return path;
}

/** Add a bar to the steps that it covers. @param {Float32Array} busy @param {Float32Array} cpu @param {number} left @param {number} right @param {number} share */
function spread(busy, cpu, left, right, share) {
  for (let i = Math.max(0, Math.floor(left)); i <= Math.min(busy.length - 1, Math.floor(right)); i += 1) {
    const part = Math.max(0, Math.min(right, i + 1) - Math.max(left, i));
    busy[i] += part;
    cpu[i] += part * share;
  }
}

/** The whole job in one row, with the window that the lanes show; `at` maps a share of the job to shown seconds.
 * @param {{context: CanvasRenderingContext2D, width: number, height: number, gutter: number, theme: Theme, busy: number[],
 *   at: (share: number) => number, window: {from: number, to: number}}} strip */
export function paintStrip({ context: c, width, height, gutter, theme: { colours, sans }, busy, at, window }) {
  const w = width - EDGE - gutter;
  const x = (/** @type {number} */ shown) => gutter + (shown / at(1)) * w;
  c.clearRect(0, 0, width, height);
  Object.assign(c, { font: `11px ${sans}`, fillStyle: colours["text-2"] });
  c.fillText(gutter > 70 ? "whole job" : "all", 0, height / 2 + 4);
  c.fillStyle = colours.inset;
  c.fillRect(gutter, 1, w, height - 2);
  Object.assign(c, { globalAlpha: 0.55, fillStyle: colours.compute });
  busy.forEach((share, i) => {
    const [a, b] = [x(at(i / busy.length)), x(at((i + 1) / busy.length))];
    c.fillRect(a, height - 2 - (share / 100) * (height - 4), b - a + 0.3, (share / 100) * (height - 4));
  });
  const a = Math.max(gutter, x(window.from));
  const b = Math.min(gutter + w, Math.max(a + 4, x(window.to)));
  Object.assign(c, { globalAlpha: 0.45, fillStyle: colours["accent-soft"] });
  c.fillRect(a, 1, b - a, height - 2);
  Object.assign(c, { globalAlpha: 1, strokeStyle: colours.accent, lineWidth: 1.5 });
  c.beginPath();
  c.roundRect(a + 0.75, 1.25, b - a - 1.5, height - 2.5, 3);
  c.stroke();
}
