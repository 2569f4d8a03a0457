// The widgets of a dashboard, drawn from the feed: all of them at first, then those whose pipeline committed.
import { feed } from "./feed.js";
import { drawn, forget, option, seriesColour, whenChart, withGaps } from "./charts.js";
import { duration, measure, text, NONE } from "./format.js";
import { define, h, inFrame } from "./live.js";
import { cell } from "./rows.js";
import { drawSpark } from "./stats.js";

/** Split an answer into lines: one for each group and measure. */
export function lines({ columns, rows }, query) {
  const time = columns.indexOf("_time");
  const groups = (query.group_by ?? []).map((name) => columns.indexOf(name));
  const measures = columns.map((name, place) => ({ name, place })).filter(({ place }) => place !== time && !groups.includes(place));
  const found = new Map();
  for (const row of rows) {
    const group = groups.map((place) => row[place] ?? NONE).join(" · ");
    for (const { name, place } of measures) {
      const key = measures.length > 1 || !group ? [group, name].filter(Boolean).join(" · ") : group;
      if (!found.has(key)) {
        const group = Object.fromEntries(groups.map((place, i) => [query.group_by[i], row[place]]));
        found.set(key, { name: key, place: found.size, points: [], group });
      }
      found.get(key).points.push([time < 0 ? 0 : Date.parse(row[time]), row[place] === null ? null : Number(row[place])]);
    }
  }
  for (const line of found.values()) line.points.sort((a, b) => a[0] - b[0]);
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name)).map((line, place) => ({ ...line, place }));
}

function level(value, thresholds) {
  return (thresholds ?? []).filter((limit) => value >= limit.value).sort((a, b) => b.value - a.value)[0]?.colour ?? "";
}

function timeseries(el, spec, state) {
  const chartEl = el.querySelector(".nicegui-echart");
  const legend = el.querySelector("[data-legend]");
  const hidden = new Set();
  const bucketMs = duration(el.dataset.bucket);
  const draw = drawn(chartEl, () => {
    const shown = lines(state.data, spec.query);
    const windowMs = duration(state.range ?? spec.query.range ?? "15m");
    const now = Date.now();
    drawLegend(shown);
    return option({
      series: shown.map((line) => ({ ...line, points: withGaps(line.points, bucketMs), hidden: hidden.has(line.name) })),
      unit: spec.unit, window: [now - windowMs, now], thresholds: spec.thresholds,
    });
  });
  whenChart(chartEl, (chart) => chart.getZr().on("click", ({ offsetX, offsetY }) => {
    const shown = lines(state.data, spec.query).filter((line) => !hidden.has(line.name));
    const found = nearest(shown, chart.convertFromPixel({ gridIndex: 0 }, [offsetX, offsetY]));
    if (!found || !bucketMs) return;
    const { line, at } = found;
    el.dispatchEvent(new CustomEvent("point", { detail: { _time: new Date(at).toISOString(), ...line.group } }));
  }));
  const drawLegend = (shown) => {
    const latest = (line) => text(line.points.findLast((point) => point[1] !== null)?.[1], spec.unit);
    if (shown.length === 1) {
      el.querySelector("[data-now]").textContent = latest(shown[0]);
      legend.replaceChildren();
      return;
    }
    legend.replaceChildren(...shown.map((line) =>
      h("button", { type: "button", "aria-pressed": String(!hidden.has(line.name)), onclick: () => { if (!hidden.delete(line.name)) hidden.add(line.name); draw(); } },
        h("i", { style: `background:${seriesColour(line.place)}` }), h("span", {}, line.name), h("b", {}, latest(line)))));
  };
  return { draw, leave: () => forget(chartEl) };
}

/** Return the line and the time that were meant by a click at [ms, value]: the nearest bucket, then the nearest value. */
export function nearest(shown, [ms, value]) {
  const times = shown.flatMap((line) => line.points.filter((point) => point[1] !== null).map((point) => point[0]));
  if (!times.length) return null;
  const at = times.reduce((best, time) => (Math.abs(time - ms) < Math.abs(best - ms) ? time : best));
  const here = shown.flatMap((line) => line.points.filter((point) => point[0] === at && point[1] !== null).map((point) => ({ line, at, off: Math.abs(point[1] - value) })));
  return here.reduce((best, one) => (one.off < best.off ? one : best));
}

function stat(el, spec, state) {
  const value = el.querySelector("[data-value]");
  const delta = el.querySelector("[data-delta]");
  const spark = el.querySelector("[data-spark]");
  const seen = []; // what a query without buckets answered while this page is open
  const draw = () => inFrame(el, () => {
    const points = (lines(state.data, spec.query)[0]?.points ?? []).filter((point) => point[1] !== null);
    const latest = points.at(-1)?.[1] ?? null;
    const [number, unit] = measure(latest, spec.unit);
    value.replaceChildren(number, h("small", {}, unit));
    value.dataset.level = level(latest, spec.thresholds);
    if (points.length > 1) {
      delta.textContent = change(points[0][1], latest, state.range ?? spec.query.range, spec.unit);
      drawSpark(spark, points.map((point) => point[1]), false);
      return;
    }
    if (latest !== null) seen.push(latest);
    if (seen.length > 120) seen.shift();
    if (seen.length > 2) drawSpark(spark, seen, false);
  });
  return { draw };
}

function change(first, latest, range, unit) {
  const difference = latest - first;
  if (difference === 0 || !Number.isFinite(difference)) return `steady over ${range ?? "the range"}`;
  const arrow = difference > 0 ? "▲" : "▼";
  return `${arrow} ${text(Math.abs(difference), unit)} over ${range ?? "the range"}`;
}

// A measure may say its unit at the end of its name: "Memory, most B". Numbers carry it then, as in charts.
const named = (name) => /^(.*\S)\s+(%|B|B\/s)$/.exec(name) ?? [name, name, undefined];

function table(el, spec, state) {
  const body = el.querySelector("[data-table]");
  const draw = () => inFrame(el, () => {
    const { columns, rows } = state.data;
    if (!rows.length) {
      body.replaceChildren(h("div", { class: "failed" }, "No rows in this range."));
      return;
    }
    const groups = new Set(spec.query.group_by ?? []);
    const line = (row) => h("tr", {}, ...columns.map((name, i) =>
      typeof row[i] === "number" && !groups.has(name) ? h("td", { class: "num" }, text(row[i], spec.unit ?? named(name)[2])) : cell(row[i], name)));
    const numeric = (i) => typeof rows[0][i] === "number";
    body.replaceChildren(h("div", { class: "table-wrap" }, h("table", { class: "table dense" },
      h("thead", {}, h("tr", {}, ...columns.map((name, i) => h("th", { scope: "col", class: numeric(i) ? "num" : null }, name === "_time" ? "Time" : spec.unit || groups.has(name) ? name : named(name)[1])))),
      h("tbody", {}, ...rows.slice(0, 100).map(line)))));
  });
  return { draw };
}

const TYPES = { timeseries, stat, table };

define("widget", (el) => {
  const spec = JSON.parse(el.dataset.widget);
  const state = { data: { columns: [], rows: [] }, range: el.dataset.range || null };
  const made = TYPES[spec.type]?.(el, spec, state);
  if (!made) {
    fail(el, `There is no widget of the type ${spec.type}.`);
    return null;
  }
  const end = feed.follow(el.dataset.topic, (frame) => {
    const data = frame.error ? { error: frame.error } : frame.widgets?.[spec.id];
    if (!data) return;
    if (data.error) {
      fail(el, data.error.title);
      return;
    }
    state.data = data;
    el.querySelector(".skeleton")?.remove();
    el.querySelector("[data-error]")?.remove();
    made.draw();
  });
  return () => {
    end();
    made.leave?.();
  };
});

function fail(el, reason) {
  el.querySelector(".skeleton")?.remove();
  el.querySelector("[data-error]")?.remove();
  el.querySelector(".widget-body").prepend(h("div", { class: "failed", "data-error": "" }, h("b", {}, "This widget has no data"), reason));
}
