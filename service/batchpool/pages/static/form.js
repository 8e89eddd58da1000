// The live preview of a form: what is typed is sent for a look, and the service's errors stand at their fields.

const QUIET_MS = 250;
const form = /** @type {HTMLFormElement} */ (document.getElementById("order"));
const preview = /** @type {HTMLElement} */ (document.querySelector('[data-fragment="preview"]'));
let timer = 0;
/** @type {AbortController | undefined} */
let asked;

/** @returns {URLSearchParams} the fields as a browser would send them */
function fields() {
  const sent = new URLSearchParams();
  for (const [name, value] of new FormData(form)) sent.append(name, String(value));
  return sent;
}

async function look() {
  asked?.abort();
  asked = new AbortController();
  const address = `${form.action}?fragment=preview`;
  try {
    const answer = await fetch(address, { method: "POST", body: fields(), signal: asked.signal });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector('[data-fragment="preview"]');
    if (!found) return;
    preview.replaceChildren(...found.childNodes);
    markErrors();
  } catch {
    // The next input asks again; the order itself says what is wrong.
  }
}

function markErrors() {
  for (const slot of form.querySelectorAll(".error")) {
    slot.toggleAttribute("hidden", true);
    document.getElementById(slot.id.slice(0, -2))?.removeAttribute("aria-invalid");
  }
  const errors = preview.querySelectorAll("[data-errors] li");
  for (const error of errors) {
    const name = error.getAttribute("data-field") ?? "";
    const slot = document.getElementById(`${name}-e`);
    const words = slot?.querySelector("span");
    if (!slot || !words) continue;
    words.textContent = error.querySelector("span")?.textContent ?? "";
    slot.removeAttribute("hidden");
    document.getElementById(name)?.setAttribute("aria-invalid", "true");
  }
  const button = document.querySelector('button[form="order"]');
  button?.toggleAttribute("disabled", errors.length > 0);
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = window.setTimeout(look, QUIET_MS);
});
form.addEventListener("submit", () => {
  // A second click would order a second time.
  window.setTimeout(() => document.querySelector('button[form="order"]')?.setAttribute("disabled", ""));
});
window.addEventListener("pageshow", markErrors);

const show = document.querySelector("[data-look]");
show?.toggleAttribute("hidden", true);
// Another task has other fields, which the server renders.
document.getElementById("task")?.addEventListener("change", () => {
  form.requestSubmit(show?.querySelector("button"));
});
