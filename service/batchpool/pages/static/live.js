// @ts-check
/**
 * What every page does besides showing itself: it follows what it shows, copies code, shows times
 * in the reader's time zone, and wires the boxes by which jobs are chosen. Without this script the
 * pages are complete, but stand still.
 */

const RENEW_MS = 1000; // At most one renewal a second.
const SLOW_MS = 10_000; // Of parts that are dear to make.
const SAY_MS = 5000; // At most one announcement in this time.
const LATE_MS = 6000; // After this a page says that it has no answer.
const POLL_MS = 2000;
const STREAM_AGAIN_MS = 15_000;

/** @param {string} selector @returns {HTMLElement | null} */
const find = (selector) => document.querySelector(selector);

/** What the page shows and in which state it is. */
const headline = () => find("[data-state]")?.dataset.state ?? find("h1")?.textContent ?? "";

/** Shows all moments of a part of the page in the reader's time zone. @param {ParentNode} part */
function showTimes(part) {
  const today = new Date().toDateString();
  for (const each of part.querySelectorAll("time[datetime]")) {
    const moment = new Date(each.getAttribute("datetime") ?? "");
    if (Number.isNaN(moment.getTime())) continue;
    const time = moment.toLocaleTimeString([], { hour12: false });
    const day = moment.toLocaleDateString([], { day: "numeric", month: "short" });
    each.textContent = moment.toDateString() === today ? time : `${day}, ${time.slice(0, 5)}`;
  }
}

/**
 * Makes `old` like `fresh` in place: what is equal stays, with focus, selection and open details.
 * @param {Element} old @param {Element} fresh
 */
function renew(old, fresh) {
  const mine = [...old.childNodes];
  const theirs = [...fresh.childNodes];
  theirs.forEach((node, at) => {
    const was = mine[at];
    if (was === undefined) {
      old.append(node);
    } else if (was.isEqualNode(node)) {
      return;
    } else if (was instanceof Element && node instanceof Element && was.tagName === node.tagName) {
      renewAttributes(was, node);
      renew(was, node);
    } else if (was.nodeType === Node.TEXT_NODE && node.nodeType === Node.TEXT_NODE) {
      was.textContent = node.textContent;
    } else {
      was.replaceWith(node);
    }
  });
  for (const node of mine.slice(theirs.length)) node.remove();
}

/** Attributes that are the reader's, not the server's. */
const READERS = new Set(["open", "checked", "value", "hidden"]);

/** @param {Element} was @param {Element} node */
function renewAttributes(was, node) {
  for (const { name } of [...was.attributes]) {
    if (!node.hasAttribute(name) && !READERS.has(name)) was.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (!READERS.has(name) && was.getAttribute(name) !== value) was.setAttribute(name, value);
  }
}

/** Follows what the page shows, by a stream of events or by questions. */
class Follower {
  /** @param {string | undefined} events @param {number} everyMs */
  constructor(events, everyMs) {
    this.events = events;
    this.everyMs = everyMs;
    /** @type {EventSource | null} */ this.stream = null;
    /** @type {number | undefined} */ this.timer = undefined;
    this.answered = Date.now();
    this.slowAt = Date.now();
    this.said = 0;
    this.state = headline();
    this.noStreamUntil = 0;
    this.ended = false; // The stream said so.
    this.showsEnd = false; // What is shown was asked for after that.
    this.asking = false;
    /** @type {Map<string, string>} */ this.etags = new Map();
  }

  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.rest() : this.wake()));
    find("[data-live-notice] button")?.addEventListener("click", () => void this.ask());
    setInterval(() => this.tick(), 1000);
    if (!document.hidden) this.wake();
  }

  /** A hidden page holds no stream and sends no request. */
  rest() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.stream?.close();
    this.stream = null;
  }

  wake() {
    this.rest();
    if (this.showsEnd) return;
    this.answered = Date.now();
    this.plan(0);
    this.open();
  }

  /** Opens the stream of events, if the page has one and it was not refused just now. */
  open() {
    if (!this.events || this.stream || this.ended || document.hidden || Date.now() < this.noStreamUntil) return;
    const stream = new EventSource(this.events);
    this.stream = stream;
    for (const kind of ["progress", "batch", "job", "run", "comparison"]) {
      stream.addEventListener(kind, () => this.plan());
    }
    stream.addEventListener("end", () => {
      this.ended = true;
      this.rest();
      this.plan(0);
    });
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED) return; // The browser connects again by itself.
      // Refused: all streams are in use, or the job is gone. Questions find out which.
      this.stream = null;
      this.noStreamUntil = Date.now() + STREAM_AGAIN_MS;
      this.plan();
    });
  }

  /** Renews the page soon, but not before a second has passed since the last time. @param {number} [afterMs] */
  plan(afterMs = RENEW_MS) {
    if (this.timer !== undefined || document.hidden) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.ask();
    }, afterMs);
  }

  async ask() {
    if (this.asking || document.hidden) return;
    this.asking = true;
    // An answer that was under way as the end came does not show it.
    const isLast = this.ended;
    try {
      const isWhole = await this.fetchParts();
      this.answered = Date.now();
      this.showsEnd = isLast && isWhole;
    } catch {
      // Said once it lasts; tick() counts the seconds.
    } finally {
      this.asking = false;
    }
    this.show();
    if (this.showsEnd) return;
    this.open();
    if (this.ended && !isLast) this.plan(0);
    else if (!this.stream || this.age() > 0) this.plan(this.events ? POLL_MS : this.everyMs);
  }

  /** @returns {Promise<boolean>} whether all parts are what they should be now */
  async fetchParts() {
    const slow = this.ended || Date.now() - this.slowAt >= SLOW_MS;
    const parts = [...document.querySelectorAll("[data-fragment]")].filter(
      (part) => slow || !part.hasAttribute("data-slow"),
    );
    const names = parts.map((part) => /** @type {HTMLElement} */ (part).dataset.fragment).join(",");
    const address = new URL(location.href);
    address.searchParams.set("fragment", names);
    const headers = new Headers({ Accept: "text/html" });
    const etag = this.etags.get(names);
    if (etag) headers.set("If-None-Match", etag);
    const answer = await fetch(address, { headers, cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (slow) this.slowAt = Date.now();
    if (answer.status === 304) return true;
    if (answer.status === 404) location.reload(); // Deleted, or expired: that page says so.
    if (!answer.ok) throw new Error(`${answer.status}`);
    this.etags.set(names, answer.headers.get("ETag") ?? "");
    return this.take(await answer.text());
  }

  /** @param {string} text @returns {boolean} whether no part was left as it was */
  take(text) {
    let isWhole = true;
    const fresh = new DOMParser().parseFromString(text, "text/html");
    showTimes(fresh);
    for (const part of fresh.querySelectorAll("[data-fragment]")) {
      const name = /** @type {HTMLElement} */ (part).dataset.fragment;
      const old = find(`[data-fragment="${name}"]`);
      if (!old) continue;
      // Rows that others push down must not move away from under the pointer.
      if (old.querySelector("[data-still]:hover, [data-still] :focus-visible")) {
        this.etags.clear();
        isWhole = false;
        continue;
      }
      renew(old, part);
    }
    const title = find("[data-title]")?.dataset.title;
    if (title) document.title = `${title} · batchpool`;
    document.dispatchEvent(new CustomEvent("batchpool:renewed"));
    this.announce();
    return isWhole;
  }

  announce() {
    const region = find("[data-announce]");
    if (!region || Date.now() - this.said < SAY_MS) return;
    // The seconds without an answer are counted on the page, but not read out.
    const now = this.age() ? "No answer, trying again." : headline();
    if (now === this.state) return;
    this.state = now;
    this.said = Date.now();
    region.textContent = now;
  }

  /** Seconds without an answer, 0 while that is nothing unusual. */
  age() {
    const waited = Date.now() - this.answered;
    return waited > LATE_MS && !(this.stream && !this.asking && waited < 40_000) ? Math.round(waited / 1000) : 0;
  }

  tick() {
    if (document.hidden || this.showsEnd) return;
    // A quiet stream says nothing: a question shows whether the service still answers.
    if (this.stream && Date.now() - this.answered > LATE_MS - 1000) this.plan(0);
    this.announce();
    this.show();
  }

  show() {
    const live = find("[data-live-state]");
    const notice = find("[data-live-notice]");
    const age = this.age();
    if (live) {
      live.hidden = false;
      live.classList.toggle("stale", age > 0);
      const polled = this.events && !this.stream && !this.ended ? "asked every 2 s, all streams are in use" : "live";
      const text = age ? `no answer for ${age} s` : this.showsEnd ? "ended" : polled;
      if (live.textContent !== text) live.textContent = text;
    }
    if (!notice) return;
    notice.hidden = age === 0;
    const words = notice.querySelector("span");
    if (!age || !words) return;
    const since = new Date(this.answered).toLocaleTimeString([], { hour12: false });
    words.textContent =
      `No answer for ${age} s, trying again. What you see is from ${since}. ` +
      "Nothing is lost; the workers go on without this page.";
  }
}

/** Copies text, on plain HTTP too, where the clipboard has no interface. @param {string} text */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.removeAttribute("open");
  }
  const button = target?.closest("[data-copy]");
  if (!button) return;
  const text = button.parentElement?.querySelector("pre")?.textContent ?? "";
  copy(text).then(
    () => (button.textContent = "Copied"),
    () => (button.textContent = "Select and copy it"),
  );
  setTimeout(() => (button.textContent = "Copy"), 2000);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  menu?.removeAttribute("open");
  menu?.querySelector("summary")?.focus();
});

/** Boxes to choose jobs by: the row of actions comes once something is chosen. @param {HTMLFormElement} form */
function wireChoices(form) {
  const boxes = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll('tbody [name="id"]')]);
  const all = /** @type {HTMLInputElement | null} */ (form.querySelector("[data-choose-all]"));
  const match = /** @type {HTMLInputElement | null} */ (form.querySelector('[name="match"]'));
  const bar = /** @type {HTMLElement | null} */ (form.querySelector(".bulk"));
  const words = form.querySelector("[data-chosen]");
  const update = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    for (const box of boxes) box.closest("tr")?.classList.toggle("picked", box.checked);
    if (bar) bar.hidden = !chosen && !match?.checked;
    if (words) words.textContent = match?.checked ? "All that match" : `${chosen} chosen`;
    if (all) {
      all.checked = chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
    }
  };
  if (all) all.hidden = false;
  all?.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  form.addEventListener("change", update);
  update();
}

showTimes(document);
document.documentElement.classList.add("scripted"); // Shows the buttons that need this script.
for (const form of document.querySelectorAll("form[data-choose]")) {
  wireChoices(/** @type {HTMLFormElement} */ (form));
}
for (const form of document.querySelectorAll("form[data-submit-on-change]")) {
  for (const field of form.querySelectorAll("select")) {
    field.addEventListener("change", () => /** @type {HTMLFormElement} */ (form).requestSubmit());
  }
}
const { every, events } = document.body.dataset;
if (every) new Follower(events, Number(every) * 1000).start();
