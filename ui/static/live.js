// Finds elements with data-live="<kind>" whenever NiceGUI adds them, and lets go of them when it takes them away.
const kinds = new Map();
const mounted = new Map();

/** Register how elements of a kind come alive. `mount(el)` may return a function that is called at the end. */
export function define(kind, mount) {
  kinds.set(kind, mount);
}

function enter(el) {
  const mount = kinds.get(el.dataset.live);
  if (!mount || mounted.has(el)) return;
  mounted.set(el, null);
  mounted.set(el, mount(el) ?? null);
}

function scan(root) {
  if (root.nodeType !== Node.ELEMENT_NODE) return;
  if (root.dataset.live) enter(root);
  for (const el of root.querySelectorAll("[data-live]")) enter(el);
}

function sweep() {
  for (const [el, leave] of mounted) {
    if (el.isConnected) continue;
    mounted.delete(el);
    leave?.();
  }
}

function reveal() {
  if (document.getElementById("main")) document.documentElement.dataset.ready = "";
}

export function start() {
  new MutationObserver((changes) => {
    for (const change of changes) for (const added of change.addedNodes) scan(added);
    if (changes.some((change) => change.removedNodes.length)) sweep();
    reveal();
  }).observe(document.body, { childList: true, subtree: true });
  scan(document.body);
  reveal();
}

const waiting = new Map();

/** Run `draw` in the next animation frame; a later call with the same key replaces an earlier one. */
export function inFrame(key, draw) {
  if (waiting.size === 0) requestAnimationFrame(flush);
  waiting.set(key, draw);
}

function flush() {
  const draws = [...waiting.values()];
  waiting.clear();
  for (const draw of draws) draw();
}

/** Return a function that runs `draw` at once, but not more often than every `ms`; the last call is never lost. */
export function paced(ms, draw) {
  let last = 0;
  let timer = null;
  return (...args) => {
    clearTimeout(timer);
    const wait = last + ms - performance.now();
    const run = () => {
      last = performance.now();
      draw(...args);
    };
    if (wait <= 0) run();
    else timer = setTimeout(run, wait);
  };
}

/** Make an element: h("td", {class: "num"}, "12", child …). Text is text, never markup. */
export function h(tag, attributes = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children.filter((child) => child !== null && child !== undefined));
  return el;
}
