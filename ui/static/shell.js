// What every page has: theme, menu, toasts, copying, filters, times, health, dialogs.
import { feed } from "./feed.js";
import { ago, calendar, clock } from "./format.js";
import { define, h } from "./live.js";

// -- theme
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function applyTheme(choice, remember) {
  const theme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
  root.dataset.choice = choice;
  root.dataset.theme = theme;
  const year = 31_536_000;
  if (remember) document.cookie = `dash_theme=${choice}.${theme};path=/;max-age=${year};samesite=lax`;
  for (const button of document.querySelectorAll("[data-theme-toggle] button")) {
    button.setAttribute("aria-checked", String(button.value === choice));
    button.tabIndex = button.value === choice ? 0 : -1;
  }
  document.dispatchEvent(new CustomEvent("dash:theme", { detail: theme }));
}

system.addEventListener("change", () => root.dataset.choice === "auto" && applyTheme("auto", true));
applyTheme(root.dataset.choice ?? "auto", true);

document.addEventListener("keydown", (event) => {
  const group = event.target.closest?.("[role=radiogroup]");
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!group || !step || event.target.tagName !== "BUTTON") return;
  const buttons = [...group.querySelectorAll("button")];
  const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
  event.preventDefault();
  next.focus();
  next.click();
});

// -- clicks that need no server
document.addEventListener("click", (event) => {
  const target = event.target;
  const theme = target.closest("[data-theme-toggle] button");
  if (theme) applyTheme(theme.value, true);
  const menu = target.closest("[data-menu]");
  if (menu) {
    const open = menu.closest("[data-frame]").toggleAttribute("data-open");
    menu.setAttribute("aria-expanded", String(open));
  }
  const copy = target.closest("[data-copy]");
  if (copy) copyFrom(copy);
  const reveal = target.closest("[data-reveal]");
  if (reveal) toggleReveal(reveal);
  const shut = target.closest("[data-close]");
  if (shut) shut.closest("dialog")?.close();
  if (target.tagName === "DIALOG") target.close(); // the backdrop
  for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.menu[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

function toggleReveal(button) {
  const input = document.getElementById(button.dataset.reveal);
  const shown = input.type === "password";
  input.type = shown ? "text" : "password";
  button.setAttribute("aria-pressed", String(shown));
}

// A chosen file becomes the text of a field, as if it had been pasted there. Longer ones are none of those asked for.
document.addEventListener("change", async (event) => {
  const input = event.target.closest?.("input[type=file][data-file-to]");
  if (!input?.files.length) return;
  const field = document.getElementById(input.dataset.fileTo);
  field.value = await input.files[0].slice(0, field.maxLength).text();
  input.value = "";
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// -- files that are sent as they are: <input type=file data-upload="/api/…">, with how far it is and what was said against it
document.addEventListener("change", (event) => {
  const input = event.target.closest?.("input[type=file][data-upload]");
  if (!input?.files.length) return;
  const bar = document.querySelector("[data-upload-progress]");
  const told = document.querySelector("[data-upload-error]");
  const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
  told.textContent = "";
  bar.hidden = false;
  request.upload.onprogress = ({ loaded, total }) => (bar.value = loaded / total);
  request.onload = () => {
    bar.hidden = true;
    const then = document.getElementById(input.dataset.uploadThen);
    input.value = "";
    if (request.status < 300) then ? then.click() : location.reload();
    else told.textContent = JSON.parse(request.responseText || "{}").detail ?? `The appliance answered ${request.status}.`;
  };
  request.onerror = () => {
    bar.hidden = true;
    told.textContent = "It did not arrive: the connection ended. Choose the file again.";
  };
  request.open("PUT", input.dataset.upload);
  request.setRequestHeader("content-type", "application/octet-stream");
  request.send(input.files[0]);
});

async function copyFrom(button) {
  const text = button.dataset.copy || document.getElementById(button.dataset.copyFrom)?.textContent || "";
  const label = button.querySelector("span");
  const before = label?.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS browsers keep the clipboard away: the old way works everywhere.
    const area = h("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (!label) return toast("Copied", "ok");
  label.textContent = "Copied";
  setTimeout(() => (label.textContent = before), 1400);
}

// -- toasts
const toasts = document.body.appendChild(h("div", { class: "toasts", role: "status", "aria-live": "polite" }));

function toast(message, kind = "ok", more = null) {
  const close = () => box.remove();
  const box = h("div", { class: `toast ${kind}`, ...(kind === "bad" && { role: "alert" }) },
    h("i", { class: "icon", "data-icon": kind === "ok" ? "check" : "alert" }), h("p", {}, message, more && " ", more && h("a", { href: more, target: "_blank" }, "What this means")),
    h("button", { class: "icon-btn", type: "button", "aria-label": "Close", onclick: close }, h("i", { class: "icon", "data-icon": "close" })));
  if (kind === "ok") toasts.querySelector(".bad")?.remove(); // what was wrong has been put right
  toasts.append(box);
  if (kind === "ok") setTimeout(close, 4000);
}

// A message about something after which the page is drawn anew waits in the tab for that page.
function go(url, message) {
  sessionStorage.setItem("dash_toast", message);
  if (url) location.assign(url);
  else location.reload();
}

const waiting = sessionStorage.getItem("dash_toast");
if (waiting) {
  sessionStorage.removeItem("dash_toast");
  toast(waiting);
}

globalThis.dash = { toast, go };

// -- times: <time data-at="…" data-style="ago|clock|date">
function tell(el) {
  const date = new Date(el.dataset.at);
  if (Number.isNaN(date.valueOf())) return;
  const words = { clock: () => clock(date, true), date: () => `${calendar(date)} ${clock(date).slice(-8, -3)}` }[el.dataset.style];
  const text = words ? words() : ago(date);
  if (el.textContent !== text) el.textContent = text;
  if (el.title !== date.toString()) el.title = date.toString();
}
const tellAll = () => document.hidden || document.querySelectorAll("[data-at]").forEach(tell);
setInterval(tellAll, 1000);
define("time", tell);

// -- tabs: on a narrow screen the present one is in view
define("tabs", (el) => {
  const here = el.querySelector("[aria-current]");
  if (here) el.scrollLeft = here.offsetLeft - el.offsetLeft - (el.clientWidth - here.offsetWidth) / 2;
});

// -- health
// While the database is away the screens show what was known when it was lost: each of them has to say so.
function tellEverybody(id, reason, end = ".") {
  const shown = document.getElementById(id);
  if (!reason) return shown?.remove();
  const words = `${reason[0].toUpperCase()}${reason.slice(1)}${end}`;
  if (shown) {
    if (shown.lastElementChild.textContent !== words) shown.lastElementChild.textContent = words;
    return;
  }
  const box = h("div", { id, class: "banner warn", role: "status" }, h("i", { class: "icon", "data-icon": "alert", "aria-hidden": "true" }), h("p", {}, words));
  document.getElementById("main").prepend(box);
}

define("health", (el) => {
  const look = async () => {
    if (document.hidden) return;
    let state = "bad";
    let words = "Not reachable";
    let why = "";
    try {
      const answer = await fetch("/readyz", { headers: { accept: "application/json" } });
      const parts = Object.entries((await answer.json()).parts);
      tellEverybody("maintenance", parts.find(([name]) => name === "maintenance")?.[1].reason, "");
      tellEverybody("outage", parts.find(([name, part]) => name === "database" && !part.ready)?.[1].reason);
      const away = parts.find(([name]) => name === "ingestors")?.[1].reason;
      state = answer.ok && !away ? "ok" : "warn";
      words = !answer.ok ? "Not ready" : away ? "Ingestors are away" : "All systems ready";
      why = away ?? parts.filter(([, part]) => part.ready === answer.ok).map(([name, part]) => `${name}: ${part.reason}`).join("\n");
    } catch {
      state = "bad";
    }
    el.dataset.state = state;
    el.title = why;
    el.lastElementChild.textContent = words;
  };
  look();
  const timer = setInterval(look, 10_000);
  feed.addEventListener("state", look);
  document.addEventListener("dash:health", look);
  return () => {
    clearInterval(timer);
    feed.removeEventListener("state", look);
    document.removeEventListener("dash:health", look);
  };
});

// -- filters: an input with data-filter="#list" hides the rows whose data-text does not hold its words
define("filter", (el) => {
  const list = document.querySelector(el.dataset.filter);
  const empty = document.querySelector(el.dataset.filterEmpty);
  let state = "";
  const input = el.querySelector("input");
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of list.querySelectorAll("[data-text]")) {
      const rowState = row.querySelector("[data-slot=state]")?.dataset.state ?? "";
      row.hidden = !words.every((word) => row.dataset.text.includes(word)) || (state !== "" && rowState !== state);
      shown += row.hidden ? 0 : 1;
    }
    if (empty) empty.hidden = shown > 0;
  };
  input.addEventListener("input", apply);
  for (const button of el.querySelectorAll("[data-state-filter]")) {
    button.addEventListener("click", () => {
      state = button.dataset.stateFilter;
      for (const other of el.querySelectorAll("[data-state-filter]")) other.setAttribute("aria-pressed", String(other === button));
      apply();
    });
  }
});
