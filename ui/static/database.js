// The step of the set-up that asks where rows and settings live: a database is looked at first, then Dash starts again on it.
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 300;

async function ask(path, dsn) {
  const answer = await fetch(`/api/v1/setup/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ dsn }),
  });
  return { ok: answer.ok, said: await answer.json().catch(() => ({})) };
}

function element(tag, css, text = "") {
  const made = document.createElement(tag);
  made.className = css;
  made.textContent = text;
  return made;
}

function finding({ state, message, remedy }) {
  const line = element("li", `finding ${state}`);
  const sign = element("i", "icon");
  sign.dataset.icon = state === "fine" ? "check" : "alert";
  sign.setAttribute("aria-label", state);
  line.append(sign, element("span", "", message));
  if (remedy) line.append(element("span", "hint", remedy));
  return line;
}

function draw(place, { findings, intentions = [] }) {
  const found = document.createElement("ul");
  found.append(...findings.map(finding));
  place.replaceChildren(found);
  if (!intentions.length) return;
  const plan = document.createElement("ul");
  plan.append(...intentions.map((text) => element("li", "muted", text)));
  place.append(element("h3", "", "What will be done there"), plan);
}

/** Wait until the appliance answers from its database; false: it did not come back in time. */
async function back() {
  const until = Date.now() + PATIENCE_MS;
  while (Date.now() < until) {
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
    const state = await fetch("/api/v1/setup").then((answer) => answer.json()).catch(() => null);
    if (state?.database === "postgresql") return true;
  }
  return false;
}

async function whileBusy(button, work) {
  button.setAttribute("data-busy", "");
  button.disabled = true;
  try {
    return await work();
  } finally {
    button.removeAttribute("data-busy");
    button.disabled = false;
  }
}

/** Bring the step alive. `shows` tells errors: `clear()`, `tell(problem)` beside their fields, `say(text)` above all. */
export function placeStep(form, shows) {
  const step = form.querySelector("[data-place]")?.closest(".step");
  if (!step) return { leave: async () => true }; // settled by the operator
  const places = [...step.querySelectorAll("[data-place]")];
  const dsn = form.elements.dsn;
  const found = step.querySelector("[data-findings]");
  const chosen = () => form.elements.place.value;

  const show = () => {
    for (const place of places) place.hidden = place.dataset.place !== chosen();
    dsn.required = chosen() === "postgresql";
    if (dsn.required) dsn.focus();
  };
  for (const box of form.elements.place) box.addEventListener("change", show);
  dsn.addEventListener("input", () => found.replaceChildren());

  const check = async () => {
    shows.clear();
    found.replaceChildren();
    if (shows.missing(step)) return;
    const { ok, said } = await ask("database/check", dsn.value);
    if (!ok) return void shows.tell(said)?.focus();
    const [first] = said.findings;
    if (!said.refused) return void draw(found, said);
    shows.tell({ problems: [{ pointer: "/dsn", message: first.message, hint: first.remedy }] });
    dsn.focus();
  };
  const button = step.querySelector("[data-check]");
  button.addEventListener("click", () => whileBusy(button, check).catch(shows.silent));

  const adopt = async () => {
    const { ok, said } = await ask("database", dsn.value);
    if (!ok) {
      shows.tell(said)?.focus();
      return;
    }
    found.replaceChildren(element("p", "muted", "The appliance starts again on this database…"));
    if (await back()) location.reload();
    else shows.say("The appliance did not come back: its log says why. Remove chosen.toml from the data directory to start as before.");
  };
  const leave = async () => {
    if (chosen() === "embedded") return true;
    await whileBusy(step.querySelector("[data-next]"), adopt).catch(shows.silent);
    return false;
  };
  return { leave };
}
