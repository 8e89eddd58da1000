// Fetches what the timeline shows: the whole job, and the window in view where the whole is binned.

/** Columns with one entry per item; times in seconds since the order; state: one letter each of s, f, c, t, x.
 * @typedef {{index: number[], start: number[], wall: number[], cpu: number[], state: string, batch: number[]}} Bars */
/** Shares of each bin in percent; failed: bin, first index, count.
 * @typedef {{busy: number[], cpu: number[], failed: [number, number, number][]}} Bins */
/** @typedef {{host: string, worker: string, pid: number | null, thread: string | null, items: number, label: string,
 *   bars?: Bars | null, bins?: Bins | null, starts: [number, number][], queue: [number, number][], running?: number | null}} Lane */
/** @typedef {{at: number, kind: "worker_lost" | "takeover" | "run_again" | "refused_write", worker: string | null,
 *   lane: number | null, from: number | null, text: string}} Mark */
/** What the endpoint answers.
 * @typedef {{state: string, submitted_at: string, from: number, to: number, end: number, now: number | null,
 *   binned: boolean, bin_s: number | null, total: number, shown: number, overview: number[], lanes: Lane[],
 *   lanes_total: number, lanes_shown: number, marks: Mark[],
 *   shared_sum?: {lane: Record<string, [number, number][]>} | null}} Shown */
/** @typedef {{from: number, to: number}} Span */

const SETTLE_MS = 150;
const LIVE_MS = 1000;
const LONGEST_PAUSE_MS = 10_000;
const WHOLE_EVERY = 5;

/** Keeps the whole job and the window in view up to date; sends nothing from a hidden tab. */
export class Feed {
  /** @type {Shown | null} */ whole = null;
  /** @type {Shown | null} */ detail = null;
  withSum = false;
  /** @type {Span | null} */ #window = null;
  #width = 1200;
  #sentAt = -Infinity;
  #heardAt = performance.now();
  #failures = 0;
  #asks = 0;
  #gone = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** @type {AbortController | null} */ #running = null;

  /** @param {string} url @param {() => void} onData @param {(words: string) => void} onProblem no words: all is well again */
  constructor(url, onData, onProblem) {
    this.url = url;
    this.onData = onData;
    this.onProblem = onProblem;
    document.addEventListener("visibilitychange", () => {
      this.#stop();
      if (this.#wants()) this.#schedule(0);
    });
  }

  get live() {
    return this.whole === null || this.whole.now !== null;
  }

  /** Show this window from now on; null is the whole job. @param {Span | null} window @param {number} width pixels */
  show(window, width) {
    const same = window?.from === this.#window?.from && window?.to === this.#window?.to;
    if (same && this.#asks + this.#failures > 0) return;
    this.#window = window;
    this.#width = Math.max(100, Math.min(4000, Math.round(width)));
    if (this.#wants()) this.#schedule(SETTLE_MS);
  }

  /** Ask for everything again, as with the shared sum now. */
  renew() {
    this.detail = null;
    this.#asks = 0;
    this.#schedule(0);
  }

  #wants() {
    if (this.#gone) return false;
    if (this.live || this.#asks === 0) return true;
    const { from, to } = this.#window ?? {};
    return Boolean(this.#window && this.whole?.binned && (this.detail?.from !== from || this.detail?.to !== to));
  }

  /** @param {number} delay milliseconds */
  #schedule(delay) {
    this.#stop();
    if (document.hidden) return;
    const earliest = this.live ? this.#sentAt + LIVE_MS - performance.now() : 0;
    this.#timer = setTimeout(() => void this.#ask(), Math.max(delay, earliest));
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
  }

  /** @param {Span | null} window */
  #address(window) {
    const query = new URLSearchParams({ width: String(this.#width) });
    if (window) query.set("from", window.from.toFixed(6));
    if (window) query.set("to", window.to.toFixed(6));
    if (this.withSum) query.set("shared_sum", "1");
    return `${this.url}?${query}`;
  }

  async #ask() {
    const whole = !this.#window || !this.whole?.binned || this.#asks === 0 || (this.live && this.#asks % WHOLE_EVERY === 0);
    const window = whole ? null : this.#window;
    const running = new AbortController();
    this.#running = running;
    this.#sentAt = performance.now();
    try {
      const response = await fetch(this.#address(window), { signal: running.signal });
      if (response.ok) this.#heard(/** @type {Shown} */ (await response.json()), window);
      else this.#refused(response.status);
    } catch {
      if (!running.signal.aborted) this.#missed();
    }
  }

  /** @param {Shown} shown @param {Span | null} window */
  #heard(shown, window) {
    this.#running = null;
    this.#asks += 1;
    this.#heardAt = performance.now();
    if (this.#failures) this.onProblem("");
    this.#failures = 0;
    if (window && this.whole) {
      this.detail = { ...shown, from: window.from, to: window.to };
      this.whole = { ...this.whole, now: shown.now, end: shown.end, state: shown.state };
    } else {
      this.whole = shown;
      if (!shown.binned) this.detail = null;
    }
    this.onData();
    if (this.#wants()) this.#schedule(SETTLE_MS);
  }

  /** @param {number} status */
  #refused(status) {
    if (status >= 500 || status === 429) return this.#missed();
    this.#gone = true;
    const gone = "This job is no longer stored. What you see was read before.";
    this.onProblem(status === 404 ? gone : "The server refused this view. Load the page again.");
  }

  #missed() {
    this.#failures += 1;
    const silent = Math.round((performance.now() - this.#heardAt) / 1000);
    this.onProblem(`No answer for ${silent} s, trying again. What you see was read before.`);
    this.#schedule(Math.min(LONGEST_PAUSE_MS, LIVE_MS * 2 ** this.#failures));
  }
}
