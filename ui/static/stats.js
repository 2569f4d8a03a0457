// Live figures of a pipeline: rate, lag, last event, state and the ledger. One listener a topic, whoever shows it.
import { feed } from "./feed.js";
import { integer, short, span, text, NONE } from "./format.js";
import { define, inFrame } from "./live.js";

const SPARK_POINTS = 60;
const LEAST_POINTS = 30;
export const OUTCOMES = ["stored", "filtered", "duplicate", "dead", "pending"];

/** Draw `values` as a small line into an svg of class spark. */
export function drawSpark(svg, values, fromZero = true) {
  const known = values.filter((value) => value !== null);
  const highest = Math.max(...known);
  const low = fromZero ? Math.min(...known, 0) : Math.min(...known);
  const scale = (fromZero ? Math.max(highest, 0) * 1.25 : highest) - low || 1;
  const step = 100 / (Math.max(values.length, LEAST_POINTS) - 1);
  const left = 100 - (values.length - 1) * step; // a young line grows from the right
  const points = values.map((value, i) => `${(left + i * step).toFixed(2)},${(22 - ((value ?? low) - low) / scale * 20).toFixed(2)}`);
  svg.setAttribute("viewBox", "0 0 100 24");
  svg.setAttribute("preserveAspectRatio", "none");
  const line = points.length ? `M${points.join("L")}` : "";
  const [area, stroke] = svg.children.length ? svg.children : svg.appendChild(path("area")) && [svg.firstChild, svg.appendChild(path(""))];
  area.setAttribute("d", line && `${line}L100,24L${left},24Z`);
  stroke.setAttribute("d", line);
}

function path(css) {
  const el = document.createElementNS("http://www.w3.org/2000/svg", "path");
  if (css) el.setAttribute("class", css);
  return el;
}

export function drawLedger(bar, ledger) {
  for (const part of bar.children) {
    const count = ledger[part.dataset.kind];
    // A dead letter among a million events must still be seen: at least 1.5 % of the width.
    part.style.flexGrow = count ? Math.max(count / Math.max(1, ledger.received), 0.015) : 0;
    part.dataset.share = count ? 1 : 0;
  }
  const words = OUTCOMES.map((kind) => `${integer(ledger[kind])} ${kind}`).join(", ");
  bar.setAttribute("aria-label", `${integer(ledger.received)} received: ${words}`);
  bar.title = `${integer(ledger.received)} received\n${OUTCOMES.map((kind) => `${integer(ledger[kind])} ${kind}`).join("\n")}`;
}

const fill = {
  rate: (el, stats) => (el.textContent = short(stats.rate_per_sec)),
  lag: (el, stats) => {
    el.textContent = stats.lag_events ? `${short(stats.lag_events)} · ${span(stats.lag_secs)}` : "0";
  },
  "lag-secs": (el, stats) => (el.textContent = span(stats.lag_secs)),
  last: (el, stats) => {
    if (stats.last_received_at) el.dataset.at = stats.last_received_at;
    else el.textContent = stats.ledger.received ? "before the last start" : "never";
  },
  bar: (el, stats) => drawLedger(el, stats.ledger),
  state: (el, _, state) => {
    if (!state) return;
    el.dataset.state = state;
    el.lastChild.textContent = state;
  },
  error: (el, stats) => {
    el.hidden = !stats.last_error;
    const place = el.querySelector("[data-text]") ?? el;
    if (place.textContent !== stats.last_error) place.textContent = stats.last_error ?? "";
  },
  count: (el, stats) => {
    const count = stats.ledger[el.dataset.kind];
    el.textContent = integer(count);
    if ("hideZero" in el.dataset) el.hidden = count === 0;
  },
  short: (el, stats) => (el.textContent = text(stats.ledger[el.dataset.kind])),
  balance: (el, stats) => {
    const sum = OUTCOMES.reduce((total, kind) => total + stats.ledger[kind], 0);
    el.dataset.balanced = sum === stats.ledger.received;
    el.querySelector("[data-verdict]").textContent = sum === stats.ledger.received ? "Balanced" : "Does not balance";
  },
};

function show(el, stats, state) {
  for (const slot of el.querySelectorAll("[data-slot]")) fill[slot.dataset.slot]?.(slot, stats, state);
}

define("stats", (el) => {
  const { topic, id } = el.dataset;
  const spark = el.querySelector("[data-spark]");
  const rates = [];
  let taken = 0;
  const take = (stats, state) => {
    const now = performance.now();
    if (spark && now - taken > 900) {
      taken = now;
      rates.push(stats.rate_per_sec);
      if (rates.length > SPARK_POINTS) rates.shift();
    }
    inFrame(el, () => {
      show(el, stats, state);
      if (spark && rates.length > 1) drawSpark(spark, rates);
    });
  };
  if (el.dataset.stats) inFrame(el, () => show(el, JSON.parse(el.dataset.stats)));
  return feed.follow(topic, (frame) => {
    if (topic !== "pipelines") {
      if (frame.stats) take(frame.stats, frame.state);
      return;
    }
    const item = (frame.items ?? []).find((candidate) => candidate.id === id);
    if (item) take(item, item.state);
  });
});

define("feed-state", (el) => {
  const words = { idle: "Idle", connecting: "Reconnecting…", live: "Live", paused: "Paused" };
  let timer = null;
  const show = () => {
    // The first connection takes a moment: it is not news unless it lasts.
    const settle = feed.state === "connecting" || feed.state === "idle" ? 600 : 0;
    clearTimeout(timer);
    timer = setTimeout(() => {
      el.dataset.state = feed.state;
      el.lastElementChild.textContent = words[feed.state] ?? NONE;
    }, settle);
  };
  feed.addEventListener("state", show);
  show();
  return () => feed.removeEventListener("state", show);
});
