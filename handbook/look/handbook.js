// Theme, menu, copying, the place on the page, and the search: all of it in this browser, nothing is asked elsewhere.
"use strict";
const root = document.documentElement;
const up = document.body.dataset.up;
const make = (tag, css, text) => Object.assign(document.createElement(tag), { className: css, textContent: text });

// -- theme
const system = matchMedia("(prefers-color-scheme: dark)");
function applyTheme(choice) {
  const theme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
  root.dataset.choice = choice;
  root.dataset.theme = theme;
  document.cookie = `dash_theme=${choice}.${theme};path=/;max-age=31536000;samesite=lax`;
  for (const button of document.querySelectorAll("[data-theme-toggle] button")) {
    button.setAttribute("aria-checked", String(button.value === choice));
    button.tabIndex = button.value === choice ? 0 : -1;
  }
}
applyTheme(root.dataset.choice || "auto");
system.addEventListener("change", () => root.dataset.choice === "auto" && applyTheme("auto"));
document.querySelector("[data-theme-toggle]").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const buttons = [...event.currentTarget.children];
  const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
  event.preventDefault();
  next.focus();
  next.click();
});

// -- what the appliance has and a copy of the site has not
if (location.pathname.startsWith("/docs/")) document.querySelector("[data-appliance]").hidden = false;

// -- clicks
document.addEventListener("click", (event) => {
  const theme = event.target.closest("[data-theme-toggle] button");
  if (theme) applyTheme(theme.value);
  const menu = event.target.closest("[data-menu]");
  if (menu) menu.setAttribute("aria-expanded", String(document.body.toggleAttribute("data-open")));
  const copy = event.target.closest(".copy");
  if (copy) copyFrom(copy);
  if (!event.target.closest(".find")) close();
});

// -- copying code; without TLS there is no clipboard to write to, but a selection to copy
async function copyFrom(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
    getSelection().removeAllRanges();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}
for (const block of document.querySelectorAll(".code")) {
  block.append(Object.assign(make("button", "copy", "Copy"), { type: "button" }));
}

// -- where on the page
const marks = new Map();
for (const link of document.querySelectorAll(".contents.wide a")) marks.set(link.getAttribute("href").split("#")[1], link);
if (marks.size) {
  const headings = [...document.querySelectorAll("article :is(h2, h3)[id]")].filter((one) => marks.has(one.id));
  const look = () => {
    const above = headings.filter((one) => one.getBoundingClientRect().top < 120);
    const now = (above.at(-1) || headings[0])?.id;
    for (const [id, link] of marks) link.toggleAttribute("data-now", id === now);
  };
  addEventListener("scroll", look, { passive: true });
  look();
}
document.querySelector(".pages [aria-current]")?.scrollIntoView({ block: "nearest" });

// -- search
const input = document.getElementById("find");
const list = document.getElementById("found");
let index = null; // [{page, title, anchor, heading, text}], lower-case words are made once
let chosen = -1;

function load() {
  if (index !== null || document.getElementById("index")) return;
  const script = Object.assign(document.createElement("script"), { id: "index", src: `${up}_/search-index.js` });
  script.addEventListener("load", () => {
    const { pages, sections } = window.handbookIndex;
    index = sections.map(([page, anchor, heading, text]) => {
      const [address, title] = pages[page];
      return { href: up + address + (anchor && `#${anchor}`), title, heading, text, low: [title, heading, text].map(lower) };
    });
    if (input.value) search();
  });
  document.head.append(script);
}
const lower = (text) => text.toLowerCase();

// A word counts as found where a word begins with it; found anywhere inside a word it counts less.
function worth(word, low) {
  let total = 0;
  for (const [place, weight] of [[0, 6], [1, 10], [2, 1]]) {
    const at = low[place].indexOf(word);
    if (at < 0) continue;
    const begins = at === 0 || !/[\p{L}\p{N}]/u.test(low[place][at - 1]);
    total += begins ? weight : weight * 0.3;
    if (low[place] === word) total += weight;
  }
  return total;
}

// What people type beside what they mean, and other words for what pages say.
const IDLE = new Set("a an and are at can do does for from how i in into is it my of on or our the to we what when where why with".split(" "));
const ALSO = {
  backups: ["backup"], cert: ["certificate"], forgot: ["lost"], forgotten: ["lost"], license: ["licence"], machine: ["server"], migrate: ["move"], migration: ["move"],
  passphrase: ["password"], remove: ["uninstall"], reset: ["lost", "rotate"], server: ["machine"], space: ["disk"], ssl: ["tls", "https", "certificate"],
  update: ["upgrade"], upgrading: ["upgrade"],
};

function search() {
  const typed = lower(input.value).split(/\s+/).filter(Boolean);
  const meant = typed.filter((word) => !IDLE.has(word));
  const words = meant.length ? meant : typed;
  chosen = -1;
  if (!words.length) return close();
  if (index === null) return load();
  const each = (word, low) => Math.max(worth(word, low), ...(ALSO[word] ?? []).map((other) => worth(other, low) * 0.8));
  const found = index.map((section) => [words.map((word) => each(word, section.low)), section]);
  // Where nothing has every word, what has most of them.
  const most = Math.max(...found.map(([worths]) => worths.filter(Boolean).length));
  if (!most || most < words.length / 2) return show([], words);
  const best = found.filter(([worths]) => worths.filter(Boolean).length === most);
  const sum = (worths) => worths.reduce((total, one) => total + one, 0);
  best.sort(([one], [other]) => sum(other) - sum(one));
  show(best.slice(0, 12).map(([, section]) => section), words);
}

function show(found, words) {
  list.replaceChildren();
  if (!found.length) list.append(make("p", "nothing", "Nothing is found. Try fewer words, or the beginning of one."));
  found.forEach((section, place) => {
    const link = make("a", "hit", "");
    link.href = section.href;
    link.id = `hit-${place}`;
    link.setAttribute("role", "option");
    const head = make("b", "", section.heading || section.title);
    const where = make("small", "", section.heading === section.title ? "" : section.title);
    link.append(head, where, excerpt(section, words));
    list.append(link);
  });
  list.hidden = false;
  input.setAttribute("aria-expanded", "true");
}

function excerpt(section, words) {
  const at = Math.max(0, ...words.map((word) => section.low[2].indexOf(word)));
  const from = Math.max(0, at - 50);
  const shown = (from ? "…" : "") + section.text.slice(from, from + 150);
  const line = make("span", "", "");
  const parts = shown.split(new RegExp(`(${words.map((one) => one.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "i"));
  for (const [place, part] of parts.entries()) line.append(place % 2 ? make("mark", "", part) : part);
  return line;
}

function close() {
  list.hidden = true;
  chosen = -1;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function choose(step) {
  const hits = [...list.querySelectorAll(".hit")];
  if (!hits.length) return;
  chosen = (chosen + step + hits.length) % hits.length;
  for (const [place, hit] of hits.entries()) hit.setAttribute("aria-selected", String(place === chosen));
  hits[chosen].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", hits[chosen].id);
}

input.addEventListener("focus", load);
input.addEventListener("input", search);
input.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") choose(1);
  else if (event.key === "ArrowUp") choose(chosen < 0 ? 0 : -1);
  else if (event.key === "Escape") close();
  else if (event.key === "Enter") (list.querySelector('[aria-selected="true"]') || list.querySelector(".hit"))?.click();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea") || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  input.focus();
});
const asked = new URLSearchParams(location.search).get("q");
if (asked) {
  input.value = asked;
  input.focus();
  search();
}
