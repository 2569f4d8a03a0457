// Forms that answer with a cookie: set-up, sign-in, change of password. Errors stand beside the field they are about.
import { placeStep } from "./database.js";
import { define } from "./live.js";

function errorPlace(form, name) {
  return form.querySelector(`[data-error-for="${name}"]`);
}

function clear(form) {
  for (const place of form.querySelectorAll("[data-error-for], .form-error")) place.textContent = "";
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

function mark(form, name, message) {
  const input = form.elements[name];
  const place = errorPlace(form, name);
  if (!input || !place) return false;
  place.textContent = sentence(message);
  input.setAttribute?.("aria-invalid", "true");
  return input;
}

function tell(form, problem) {
  let first = null;
  const rest = [];
  for (const { pointer, message, hint } of problem.problems ?? []) {
    const words = hint ? `${message} (${hint})` : message;
    const found = mark(form, pointer.replace(/^\//, ""), words);
    if (found) first ??= found;
    else rest.push(words);
  }
  if (!problem.problems?.length) rest.push(problem.title ?? "The appliance did not take this.");
  form.querySelector(".form-error").textContent = rest.map(sentence).join(" ");
  return first;
}

function values(form) {
  const out = {};
  for (const input of form.elements) {
    if (!input.name || (input.type === "radio" && !input.checked)) continue;
    if (input.dataset.local !== undefined) continue;
    out[input.name] = input.type === "checkbox" ? input.checked : input.dataset.as === "boolean" ? input.value === "true" : input.value;
  }
  return out;
}

async function send(form) {
  const answer = await fetch(form.getAttribute("action"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(values(form)),
  });
  const said = await answer.json().catch(() => ({}));
  return { ok: answer.ok, said };
}

function missing(scope) {
  const wrong = [...scope.querySelectorAll("input, select")].filter((input) => !input.validity.valid);
  for (const input of wrong) mark(input.form, input.name, complaint(input));
  wrong[0]?.focus();
  return wrong.length > 0;
}

function complaint({ validity, minLength, type, validationMessage }) {
  if (validity.valueMissing) return "Please fill this in.";
  if (validity.tooShort) return `At least ${minLength} characters.`;
  return validity.typeMismatch && type === "email" ? "Such as ada@example.org." : validationMessage;
}

/** Submit `form` by fetch. `jump(input)`: bring the field of an error into view first. */
function submits(form, { check = () => false, jump = () => {}, done } = {}) {
  form.noValidate = true;
  form.addEventListener("input", (event) => event.target.name && errorPlace(form, event.target.name)?.replaceChildren());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clear(form);
    if (check() || missing(form)) return;
    const button = form.querySelector("[type=submit]");
    button.setAttribute("data-busy", "");
    button.disabled = true;
    try {
      const { ok, said } = await send(form);
      if (ok) return void done(said);
      const first = tell(form, said);
      if (first) {
        jump(first);
        first.focus?.();
      }
    } catch {
      form.querySelector(".form-error").textContent = "The appliance did not answer. Check that it runs, then try again.";
    }
    button.removeAttribute("data-busy");
    button.disabled = false;
  });
}

const go = (said) => location.assign(said.next ?? "/");

define("sign-in", (form) => submits(form, { done: go }));

define("password", (form) => {
  strengthOf(form);
  submits(form, {
    // This page still belongs to the session that ended with the old password.
    done: () => globalThis.dash.go(null, "The password is changed. Other devices are signed out."),
  });
});

// Length counts most; repeated characters and a lone word count little.
function strength(password, email) {
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^\w]/].filter((kind) => kind.test(password)).length;
  const different = new Set(password).size;
  const points = password.length + kinds * 2 + Math.min(different, 14) - 8;
  if (password.length < 12) return [1, `${12 - password.length} more character${password.length === 11 ? "" : "s"} needed`];
  if (different < 5 || (email && password.toLowerCase().includes(email.split("@")[0].toLowerCase() || "\0"))) return [1, "Easy to guess: use several words"];
  if (points < 22) return [2, "Fair: a few words more make it strong"];
  return points < 32 ? [3, "Strong"] : [4, "Very strong"];
}

function strengthOf(form) {
  const input = form.querySelector("[data-strength]");
  const bar = form.querySelector(".strength");
  const words = form.querySelector("[data-strength-text]");
  input.addEventListener("input", () => {
    const [score, text] = strength(input.value, form.elements.admin_email?.value);
    bar.dataset.score = input.value ? score : 0;
    words.textContent = input.value ? text : words.dataset.default;
  });
}

define("setup", (form) => {
  strengthOf(form);
  const steps = [...form.querySelectorAll(".step")];
  const marks = [...form.querySelectorAll(".steps li")];
  let at = 0;
  const show = (to) => {
    at = to;
    steps.forEach((step, i) => step.toggleAttribute("data-on", i === to));
    marks.forEach((li, i) => {
      li.toggleAttribute("data-done", i < to);
      i === to ? li.setAttribute("aria-current", "step") : li.removeAttribute("aria-current");
    });
    review(form);
    const first = [...steps[to].querySelectorAll("input:not([type=radio]), [data-next], [type=submit]")];
    first.find((input) => !input.closest("[hidden]")).focus();
  };
  const say = (text) => (form.querySelector(".form-error").textContent = text);
  const place = placeStep(form, {
    clear: () => clear(form),
    missing,
    tell: (problem) => tell(form, problem),
    say,
    silent: () => say("The appliance did not answer. Check that it runs, then try again."),
  });
  const next = async () => {
    clear(form);
    if (missing(steps[at])) return;
    if (at > 0 || (await place.leave())) show(at + 1);
  };
  form.addEventListener("click", (event) => {
    if (event.target.closest("[data-next]")) next();
    if (event.target.closest("[data-back]")) show(at - 1);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName === "BUTTON" || at === steps.length - 1) return;
    event.preventDefault();
    next();
  });
  submits(form, { done: go, jump: (input) => show(steps.indexOf(input.closest(".step"))) });
  show(0);
});

function review(form) {
  const all = values(form);
  for (const place of form.querySelectorAll("[data-review]")) {
    const value = all[place.dataset.review];
    place.textContent = typeof value === "boolean" ? (value ? "Yes, with live data of this machine" : "No, start empty") : value;
  }
}
