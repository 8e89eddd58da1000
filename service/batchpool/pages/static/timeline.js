// The timeline: wires what timeline_ui.html renders to the feed, the canvas and the record beside it.

import { Backdrop, sizeCanvas } from "./timeline_backdrop.js";
import { Feed } from "./timeline_feed.js";
import { AXIS, EDGE, Painter, readTheme } from "./timeline_paint.js";
import { inWords, readRecord, showItem } from "./timeline_record.js";
import { failures, itemAt, itemNumbered, itemOf, laneAt, layOut, rowOf } from "./timeline_rows.js";
import { after, count, foldIdle, seconds, UNFOLDED } from "./timeline_scale.js";

/** @typedef {import("./timeline_rows.js").Item} Item */
/** @typedef {import("./timeline_rows.js").Row} Row */

const SHORTEST_S = 2e-5;
const FEW = 1000;
const CLICK_PX = 4;
const NARROW_PX = 560;
const STRIP_PX = 26;

class Timeline {
  /** What is shown, in folded seconds. */ view = { from: 0, to: 1 };
  isWhole = true;
  follows = true;
  folds = false;
  folding = UNFOLDED;
  /** @type {ReturnType<typeof layOut>} */ layout = { rows: [], lanes: [], height: 0 };
  /** @type {Item | null} */ chosen = null;
  /** @type {Item | null} */ hovered = null;
  frame = 0;
  backdrop = new Backdrop();
  /** @type {Map<number, number>} where each finger or mouse button is down */ #down = new Map();
  #dragFrom = 0;
  #dragged = false;
  #reading = new AbortController();

  /** @param {HTMLElement} host */
  constructor(host) {
    this.host = host;
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (host.querySelector(`[data-part="${name}"]`));
    this.canvas = /** @type {HTMLCanvasElement} */ (part("lanes"));
    this.strip = /** @type {HTMLCanvasElement} */ (part("strip"));
    this.scroller = part("scroller");
    this.spacer = part("spacer");
    this.panel = part("record");
    this.shown = part("shown");
    this.said = part("said");
    this.hint = [...this.panel.childNodes];
    this.small = host.dataset.kind === "card";
    const url = host.dataset.timeline ?? "";
    this.page = url.replace(/^\/v1|\/timeline$/g, "");
    this.feed = new Feed(url, () => this.#arrived(), (words) => {
      Object.assign(part("problem"), { textContent: words, hidden: !words });
    });
    this.theme = readTheme(host);
    host.hidden = false;
    this.#listen();
    this.#listenToPointers();
  }

  get width() {
    return this.scroller.clientWidth;
  }

  get gutter() {
    return this.width < NARROW_PX ? 68 : 92;
  }

  /** Seconds of the whole; a running job has some room after its now. */
  get end() {
    const { end, now } = this.feed.whole ?? { end: 1, now: null };
    return Math.max(end, now === null ? SHORTEST_S : now * 1.06);
  }

  get span() {
    return this.view.to - this.view.from;
  }

  get perPixel() {
    return this.span / Math.max(1, this.width - EDGE - this.gutter);
  }

  /** @param {number} time */
  x(time) {
    return this.gutter + (this.folding.toShown(time) - this.view.from) / this.perPixel;
  }

  /** @param {number} pixel @returns folded seconds */
  at(pixel) {
    return this.view.from + (pixel - this.gutter) * this.perPixel;
  }

  #listen() {
    new ResizeObserver(() => this.#resize()).observe(/** @type {HTMLElement} */ (this.scroller.parentElement));
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    const recolour = () => {
      this.theme = readTheme(this.host);
      this.draw();
    };
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
      matchMedia(query).addEventListener("change", recolour);
    }
    new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const act = this.#actions();
    this.host.addEventListener("click", ({ target }) => {
      const button = /** @type {HTMLElement} */ (target).closest("[data-do]");
      if (button instanceof HTMLElement) act[button.dataset.do ?? ""]?.();
    });
    this.canvas.addEventListener("keydown", (event) => {
      const run = act[(event.shiftKey ? "Shift" : "") + event.key] ?? act[event.key];
      if (!run || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      run();
    });
    this.panel.addEventListener("keydown", ({ key }) => key === "Escape" && this.canvas.focus());
  }

  /** What buttons and keys do. @returns {Record<string, () => void>} */
  #actions() {
    const failure = () => void this.nextFailure();
    const [nearer, farther, fit] = [() => this.zoom(0.5), () => this.zoom(2), () => this.fit()];
    return {
      in: nearer, "+": nearer, "=": nearer, out: farther, "-": farther, "−": farther, fit, Home: fit,
      failure, n: failure, N: failure, fold: () => this.#fold(), follow: () => this.#follow(),
      sum: () => this.#toggleSum(), Escape: () => this.#unchoose(),
      ArrowLeft: () => this.#step(-1), ArrowRight: () => this.#step(1),
      ArrowUp: () => this.#otherLane(-1), ArrowDown: () => this.#otherLane(1),
      ShiftArrowLeft: () => this.pan(-0.25), ShiftArrowRight: () => this.pan(0.25),
      Enter: () => {
        if (!this.chosen) this.#step(1);
        if (this.chosen) this.panel.focus();
      },
    };
  }

  #listenToPointers() {
    const { canvas, strip } = this;
    canvas.addEventListener("pointerdown", (event) => {
      this.#down.set(event.pointerId, event.offsetX);
      this.#dragFrom = event.offsetX;
      this.#dragged = false;
    });
    canvas.addEventListener("pointermove", (event) => this.#moved(event));
    canvas.addEventListener("pointerup", (event) => this.#released(event));
    canvas.addEventListener("pointercancel", (event) => this.#down.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.#hover(null));
    canvas.addEventListener("dblclick", (event) => this.zoom(0.4, event.offsetX));
    canvas.addEventListener("wheel", (event) => {
      const nearer = event.ctrlKey || event.metaKey;
      if (!nearer && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
      event.preventDefault();
      if (nearer) this.zoom(1.0025 ** Math.max(-300, Math.min(300, event.deltaY)), event.offsetX);
      else this.pan(event.deltaX / this.width);
    }, { passive: false });
    const jump = (/** @type {PointerEvent} */ event) => {
      const share = (event.offsetX - this.gutter) / (this.width - EDGE - this.gutter);
      if (event.buttons & 1) this.#look(share * this.folding.toShown(this.end) - this.span / 2, this.span);
    };
    strip.addEventListener("pointerdown", jump);
    strip.addEventListener("pointermove", jump);
  }

  /** @param {PointerEvent} event */
  #moved({ pointerId, offsetX, offsetY }) {
    const before = this.#down.get(pointerId);
    if (before === undefined) return this.#hover(this.#under(offsetX, offsetY));
    if (!this.#dragged && Math.abs(offsetX - this.#dragFrom) < CLICK_PX) return;
    if (!this.#dragged) this.canvas.setPointerCapture(pointerId);
    this.#dragged = true;
    this.#down.set(pointerId, offsetX);
    const other = [...this.#down].find(([id]) => id !== pointerId)?.[1];
    if (other === undefined) this.#look(this.view.from - (offsetX - before) * this.perPixel, this.span);
    else this.zoom(Math.max(20, Math.abs(before - other)) / Math.max(20, Math.abs(offsetX - other)), (offsetX + other) / 2);
  }

  /** @param {PointerEvent} event */
  #released({ pointerId, offsetX, offsetY }) {
    if (!this.#down.delete(pointerId) || this.#dragged) return;
    this.#follow(false);
    const item = this.#under(offsetX, offsetY);
    const row = this.#rowAt(offsetY);
    if (item?.more !== undefined) void this.go(item.index);
    else if (item) void this.choose(item);
    else if (row && laneAt(row, this.folding.toTime(this.at(offsetX)), this.feed.detail)?.bins) this.zoom(0.25, offsetX);
  }

  // ---- The window

  /** @param {number} from folded seconds @param {number} span */
  #look(from, span) {
    const end = this.folding.toShown(this.end);
    const length = Math.min(end, Math.max(SHORTEST_S, span));
    const start = Math.max(0, Math.min(end - length, from));
    this.isWhole = length >= end * 0.9999;
    this.view = { from: start, to: start + length };
    this.#follow(false);
    this.#request();
    this.draw();
  }

  /** @param {number} factor below 1: nearer @param {number} [pixel] what stays in place: else the chosen item, else the middle */
  zoom(factor, pixel) {
    const middle = (this.gutter + this.width) / 2;
    const chosen = this.chosen ? this.x(this.chosen.start + this.chosen.wall / 2) : middle;
    const fixed = this.at(pixel ?? (chosen > this.gutter && chosen < this.width ? chosen : middle));
    this.#look(fixed - (fixed - this.view.from) * factor, this.span * factor);
  }

  /** @param {number} share of the window */
  pan(share) {
    this.#look(this.view.from + share * this.span, this.span);
  }

  /** The whole job, and all that is still to come of it. */
  fit() {
    this.isWhole = true;
    this.#follow(this.feed.live);
    this.#settle();
  }

  /** Follow what runs: to its now, at the zoom that is; ends at the first touch. */
  #follow(on = true) {
    this.follows = on;
    const button = /** @type {HTMLElement | null} */ (this.host.querySelector('[data-do="follow"]'));
    if (button) Object.assign(button, { hidden: !this.feed.live, textContent: on ? "Following" : "Follow" });
    button?.setAttribute("aria-pressed", String(on));
    if (on) this.#settle();
  }

  /** Put the window where it belongs after new data or a fold. */
  #settle() {
    const end = this.folding.toShown(this.end);
    if (this.isWhole && (this.follows || !this.feed.live || this.view.to > end)) this.view = { from: 0, to: end };
    else if (this.follows && this.feed.live) this.view = { from: Math.max(0, end - this.span), to: end };
    else this.isWhole = this.isWhole && this.view.to >= end;
    this.#request();
    this.draw();
  }

  #fold() {
    const [from, to] = [this.folding.toTime(this.view.from), this.folding.toTime(this.view.to)];
    this.folds = !this.folds;
    this.folding = this.folds && this.feed.whole ? foldIdle(this.feed.whole) : UNFOLDED;
    this.view = { from: this.folding.toShown(from), to: this.folding.toShown(to) };
    this.#press("fold", this.folds);
    this.#settle();
  }

  #toggleSum() {
    this.feed.withSum = !this.feed.withSum;
    if (this.feed.withSum) this.feed.renew();
    this.#press("sum", this.feed.withSum);
    this.draw();
  }

  /** @param {string} name @param {boolean} on */
  #press(name, on) {
    this.host.querySelector(`[data-do="${name}"]`)?.setAttribute("aria-pressed", String(on));
  }

  #request() {
    const [from, to] = [this.folding.toTime(this.view.from), this.folding.toTime(this.view.to)];
    this.feed.show(this.isWhole ? null : { from, to }, this.width - this.gutter);
  }

  #arrived() {
    const { feed } = this;
    if (this.folds && feed.whole) this.folding = foldIdle(feed.whole);
    this.#resize();
    this.#follow(this.follows && feed.live);
    this.#settle();
    if (feed.withSum && feed.whole && !feed.whole.shared_sum) this.said.textContent = "this job has no shared sum";
    const linked = /^#item-(\d+)$/.exec(location.hash);
    if (linked && !this.chosen) void this.go(Number(linked[1]));
  }

  #resize() {
    if (!this.width) return;
    const narrow = this.width < NARROW_PX;
    this.layout = layOut(this.feed.whole, this.feed.detail, { small: this.small, narrow });
    const whole = this.layout.height + AXIS + 6;
    const height = Math.max(120, Math.min(whole, this.small ? 480 : Math.max(320, innerHeight * 0.72)));
    this.scroller.style.height = `${height}px`;
    this.spacer.style.height = `${Math.max(0, whole - height)}px`;
    sizeCanvas(this.canvas, this.width, height);
    sizeCanvas(this.strip, this.width, STRIP_PX);
    this.#request();
    this.draw();
  }

  // ---- Drawing

  draw() {
    this.frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.frame = 0;
    const { gutter, width, theme, chosen, hovered, folding, scroller, layout: { rows }, feed: { whole, detail, withSum } } = this;
    const [context, strip] = [this.canvas.getContext("2d"), this.strip.getContext("2d")];
    if (!whole || !context || !strip) return;
    const sums = withSum ? rows.flatMap((row) => row.sums.map(([, value]) => value)) : [];
    const scale = 1 / this.perPixel;
    const snap = (/** @type {number} */ pixel) => Math.floor(pixel * devicePixelRatio) / devicePixelRatio;
    const origin = snap(gutter - this.view.from * scale);
    const scene = {
      context, width, gutter, theme, chosen, hovered, whole, detail, rows, origin, scale, gaps: folding.gaps,
      left: snap(gutter), right: snap(width - EDGE), height: scroller.clientHeight, scroll: scroller.scrollTop,
      notes: width >= NARROW_PX, sumMost: withSum ? sums.reduce((a, b) => Math.max(a, b), 1) : 0,
      x: (/** @type {number} */ time) => origin + folding.toShown(time) * scale,
      time: (/** @type {number} */ pixel) => folding.toTime((pixel - origin) / scale),
    };
    this.backdrop.update(scene);
    new Painter(scene).paint(this.backdrop.canvas);
    const at = (/** @type {number} */ share) => folding.toShown(share * this.end);
    new Painter({ ...scene, context: strip, height: STRIP_PX }).paintOverview(whole.overview, at, this.view);
    this.#describe(whole);
  }

  /** Say how many items are shown: never a silent cut. @param {import("./timeline_feed.js").Shown} whole */
  #describe(whole) {
    const [from, to] = [this.folding.toTime(this.view.from), this.folding.toTime(this.view.to)];
    const exact = this.#exact(whole, from, to);
    const { lanes_shown: lanes, lanes_total: all, binned, bin_s } = exact ?? whole;
    const some = lanes < all ? `, ${count(lanes)} of ${count(all)} lanes` : "";
    const stop = whole.now ?? whole.end;
    const span = `, ${seconds(from)} to ${seconds(Math.min(to, stop))} of ${seconds(stop)}`;
    const bins = `, as shares of ${seconds(bin_s ?? 0)}; zoom in for single bars`;
    const number = exact && (whole.binned ? exact.shown : countBetween(this.layout.rows, from, to));
    const bold = document.createElement("b");
    bold.textContent = number === null ? "reading …" : `${count(number)} of ${count(whole.total)}`;
    this.shown.replaceChildren(bold, ` items shown${some}${binned && exact ? bins : span}`);
    this.canvas.setAttribute("aria-label", `Timeline of the job: ${this.layout.lanes.length} lanes, ${this.shown.textContent}`);
  }

  /** What was read for just this window. @param {import("./timeline_feed.js").Shown} whole @param {number} from @param {number} to */
  #exact(whole, from, to) {
    const { detail } = this.feed;
    if (!whole.binned || this.isWhole) return whole;
    return detail && detail.from === from && detail.to === to ? detail : null;
  }

  // ---- Items

  /** @param {number} y on the canvas */
  #rowAt(y) {
    const at = y - AXIS + this.scroller.scrollTop;
    return this.layout.lanes.find((row) => at >= row.y - 3 && at <= row.y + row.height + 3) ?? null;
  }

  /** @param {number} x @param {number} y */
  #under(x, y) {
    const row = this.#rowAt(y);
    if (!row || x < this.gutter - 4) return null;
    const time = this.folding.toTime(this.at(x));
    const lane = laneAt(row, time, this.feed.detail);
    if (!lane?.bins) return itemAt(row, lane, time, this.perPixel * 4);
    return failures([row], this.feed.whole, this.feed.detail).find((item) => Math.abs(this.x(item.start + item.wall / 2) - x) < 7) ?? null;
  }

  /** @param {Item | null} item */
  #hover(item) {
    this.canvas.style.cursor = item ? "pointer" : "grab";
    if (item?.index === this.hovered?.index) return;
    this.hovered = item;
    this.draw();
    if (this.chosen) return;
    if (item) showItem(this.panel, item, this.#where(item));
    else this.panel.replaceChildren(...this.hint);
  }

  /** @param {Item} item */
  #where(item) {
    const row = this.layout.lanes.find((each) => each.key === item.key);
    return row ? `${(row.whole ?? row.detail)?.worker}, ${row.name}` : "an unknown lane";
  }

  /** Choose an item, bring it into view with as little moving as needed, and read its record. @param {Item} item */
  choose(item) {
    this.#mark(item);
    showItem(this.panel, item, this.#where(item));
    const x = this.x(item.start + item.wall / 2);
    if (x < this.gutter || x > this.width - EDGE) this.#look(this.folding.toShown(item.start) - this.span / 3, this.span);
    return this.#read(item.index);
  }

  /** @param {Item} item */
  #mark(item) {
    this.#follow(false);
    this.chosen = item;
    this.panel.hidden = false;
    this.said.textContent = inWords(item, this.#where(item));
    const row = this.layout.lanes.find((each) => each.key === item.key);
    const room = this.scroller.clientHeight - AXIS;
    if (row && row.y < this.scroller.scrollTop) this.scroller.scrollTop = row.y - 30;
    if (row && row.y + row.height > this.scroller.scrollTop + room) this.scroller.scrollTop = row.y + row.height - room + 8;
    this.draw();
  }

  /** Read a record into the panel; one that was asked for before is dropped. @param {number} index */
  async #read(index) {
    this.#reading.abort();
    this.#reading = new AbortController();
    const { signal } = this.#reading;
    try {
      return await readRecord(this.panel, this.page, index, signal);
    } catch {
      if (!signal.aborted) this.said.textContent = `no answer for the record of item ${index}; choose it again to try once more`;
      return null;
    }
  }

  /** Show an item by its number, wherever it lies. @param {number} index */
  async go(index) {
    const loaded = itemNumbered(this.layout.lanes, index);
    if (loaded) return this.choose(loaded);
    const place = await this.#read(index);
    if (!place || place.start === null) return;
    const { start, wall, cpu, state } = place;
    this.#mark({ index, start, wall, cpu, state, key: rowOf(this.layout.lanes, place)?.key ?? "" });
    // So near that there are few enough items to be single bars.
    const few = (this.end * FEW) / Math.max(1, this.feed.whole?.total ?? 1);
    const span = Math.min(this.span, Math.max(SHORTEST_S, wall * 2, Math.min(wall * 40, few)));
    this.#look(this.folding.toShown(start) - span / 2, span);
  }

  async nextFailure() {
    const all = failures(this.layout.lanes, this.feed.whole, this.feed.detail);
    const from = this.chosen ?? { start: this.folding.toTime(this.view.from), index: -1 };
    const later = all.filter((item) => item.start > from.start || (item.start === from.start && item.index > from.index));
    const next = later.find((item) => item.index !== from.index) ?? all[0];
    if (next) await this.go(next.index);
    else this.said.textContent = "no item failed";
  }

  /** Choose the item before or after in its lane. @param {number} by -1 or 1 */
  #step(by) {
    const { chosen, layout: { lanes } } = this;
    const row = lanes.find((each) => each.key === chosen?.key) ?? lanes[0];
    const time = chosen?.start ?? this.folding.toTime(this.view.from);
    const lane = row && laneAt(row, time, this.feed.detail);
    if (!lane?.bars) return this.pan(by / 4);
    const item = itemOf(lane, chosen ? after(lane.bars.start, time) - 1 + by : Math.max(0, after(lane.bars.start, time) - 1), row.key);
    if (item) void this.choose(item);
  }

  /** Choose what ran at that time in the next lane that has something. @param {number} by -1 or 1 */
  #otherLane(by) {
    const { lanes } = this.layout;
    const time = this.chosen?.start ?? this.folding.toTime(this.view.from);
    for (let i = lanes.findIndex((row) => row.key === this.chosen?.key) + by; lanes[i]; i += by) {
      const lane = laneAt(lanes[i], time, this.feed.detail);
      const item = lane && itemOf(lane, Math.max(0, after(lane.bars?.start ?? [], time) - 1), lanes[i].key);
      if (item) return void this.choose(item);
    }
  }

  #unchoose() {
    this.chosen = null;
    this.#reading.abort();
    this.panel.replaceChildren(...this.hint);
    this.panel.hidden = this.small;
    this.draw();
  }
}

/** Items that ran between two times. @param {Row[]} rows @param {number} from @param {number} to */
function countBetween(rows, from, to) {
  let found = 0;
  for (const { whole } of rows) {
    const { start, wall } = whole?.bars ?? { start: [], wall: [] };
    const first = Math.max(0, after(start, from) - 1);
    found += Math.max(0, after(start, to) - first - (start[first] + wall[first] < from ? 1 : 0));
  }
  return found;
}

for (const host of document.querySelectorAll("[data-timeline]")) new Timeline(/** @type {HTMLElement} */ (host));
