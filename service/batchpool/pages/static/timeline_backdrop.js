// Keeps the lanes as a bitmap: a pan shifts it, and only what comes into view is drawn.

import { Painter } from "./timeline_paint.js";

/** @typedef {import("./timeline_paint.js").Scene} Scene */

/** The lanes of a scene with their bars, as they were drawn last. */
export class Backdrop {
  canvas = document.createElement("canvas");
  #context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
  /** @type {unknown[]} all that it depends on but the origin */ #made = [];
  #origin = 0;

  /** Bring it up to date. @param {Scene} scene whose origin lies on a device pixel */
  update(scene) {
    const { whole, detail, rows, theme, scroll, scale, gaps, width, height, origin, left, right } = scene;
    const made = [whole, detail, rows, theme, scroll, scale.toPrecision(9), gaps, width, height, devicePixelRatio];
    const shift = origin - this.#origin;
    const isKept = Math.abs(shift) < right - left && made.every((part, i) => part === this.#made[i]);
    if (isKept && shift === 0) return;
    this.#made = made;
    this.#origin = origin;
    if (isKept) this.#shift(shift);
    else sizeCanvas(this.canvas, width, height);
    const part = shift > 0 ? { left, right: left + shift } : { left: right + shift, right };
    for (const { pattern, turn, period } of [theme.hatch, theme.lost]) {
      // It moves with the bars.
      pattern?.setTransform(new DOMMatrix().translate(origin % period, 0).multiply(turn));
    }
    new Painter({ ...scene, ...(isKept ? part : {}), context: this.#context }).paintLanes();
  }

  /** @param {number} by pixels */
  #shift(by) {
    this.#context.globalCompositeOperation = "copy";
    this.#context.drawImage(this.canvas, by, 0, this.canvas.width / devicePixelRatio, this.canvas.height / devicePixelRatio);
    this.#context.globalCompositeOperation = "source-over";
  }
}

/** @param {HTMLCanvasElement} canvas @param {number} width @param {number} height CSS pixels */
export function sizeCanvas(canvas, width, height) {
  const [w, h] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  canvas.getContext("2d")?.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
}
