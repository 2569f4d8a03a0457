// Time series with ECharts: our look, our units, gaps stay gaps.
import { feed } from "./feed.js";
import { clock, duration, text } from "./format.js";
import { define, h, inFrame } from "./live.js";

const charts = new Map(); // element -> the function that draws it again
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
export const seriesColour = (place) => token(`series-${(place % 6) + 1}`);

/** Call `use(chart)` as soon as NiceGUI has made the chart of `el`. */
export function whenChart(el, use) {
  const look = () => {
    if (!el.isConnected) return;
    let chart = null;
    try {
      chart = window.getElement?.(el)?.chart;
    } catch {
      chart = null; // NiceGUI has not mounted its root yet
    }
    if (chart) use(chart);
    else requestAnimationFrame(look);
  };
  look();
}

/** Break the line where buckets are missing. `points`: [[ms, value] …] in order. */
export function withGaps(points, bucketMs) {
  if (!bucketMs) return points;
  const out = [];
  for (const point of points) {
    const before = out.at(-1);
    // A source that ticks with its buckets misses one now and then: that is jitter, not a gap.
    if (before && point[0] - before[0] > bucketMs * 1.5 + 1_500) out.push([before[0] + bucketMs, null]);
    out.push(point);
  }
  return out;
}

function tooltip(unit) {
  return {
    trigger: "axis",
    confine: true,
    transitionDuration: 0,
    backgroundColor: token("raised"),
    borderColor: token("line-strong"),
    padding: [8, 11],
    extraCssText: `border-radius:9px;box-shadow:0 8px 24px ${token("shadow")};`,
    textStyle: { color: token("text"), fontSize: 12, fontFamily: token("font") },
    axisPointer: { type: "line", lineStyle: { color: token("line-strong"), type: "solid" } },
    formatter: (items) => {
      const known = items.filter((item) => item.value[1] !== null).sort((a, b) => b.value[1] - a.value[1]);
      const lines = known.map((item) =>
        h("div", { style: "display:flex;gap:8px;align-items:center;font-variant-numeric:tabular-nums" },
          h("i", { style: `width:9px;height:3px;border-radius:2px;background:${item.color}` }),
          h("span", { style: `flex:1;color:${token("text-2")}` }, item.seriesName),
          h("b", { style: "font-weight:600;padding-left:14px" }, text(item.value[1], unit))),
      );
      return h("div", {}, h("div", { style: `color:${token("text-3")};margin-bottom:3px` }, clock(new Date(items[0].value[0]))), ...lines);
    },
  };
}

const axisText = (value, unit) => (unit === "%" || unit === "percent" ? `${value}%` : text(value, unit));

/** Ends and steps of the value axis where ECharts would choose odd ones: per cent up to 100, bytes in powers of two. */
function scale(series, unit) {
  const values = series.filter((line) => !line.hidden).flatMap((line) => line.points.map((point) => point[1])).filter((value) => value !== null);
  const highest = values.reduce((a, b) => Math.max(a, b), 0);
  const lowest = values.reduce((a, b) => Math.min(a, b), 0);
  if (lowest < 0) return {};
  if ((unit === "%" || unit === "percent") && highest > 50 && highest <= 100) return { min: 0, max: 100, interval: 25 };
  if (["B", "bytes", "B/s", "bytes/s"].includes(unit) && highest > 0) {
    const interval = 2 ** Math.ceil(Math.log2(highest / 4));
    return { min: 0, max: interval * Math.max(1, Math.ceil(highest / interval)), interval };
  }
  return { min: 0 };
}

/** The whole option. `series`: [{name, points, hidden}]; `window`: [from ms, to ms]. */
export function option({ series, unit, window: [from, to], thresholds = [], area = true, digitsOnly = false }) {
  const label = { color: token("text-3"), fontSize: 11, fontFamily: token("font") };
  const single = series.length === 1;
  return {
    animation: false,
    grid: { left: 6, right: 10, top: 12, bottom: 4, containLabel: true },
    tooltip: tooltip(unit),
    xAxis: {
      type: "time", min: from, max: to, splitNumber: 5, axisLine: { lineStyle: { color: token("line-strong") } }, axisTick: { show: false },
      axisLabel: { ...label, hideOverlap: true, formatter: { year: "{yyyy}", month: "{MMM}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}", second: "{HH}:{mm}:{ss}", none: "{HH}:{mm}:{ss}" } },
      splitLine: { show: false },
    },
    yAxis: {
      type: "value", splitNumber: 3, ...scale(series, unit), minInterval: digitsOnly ? 1 : 0,
      axisLabel: { ...label, formatter: (value) => axisText(value, unit) }, splitLine: { lineStyle: { color: token("line") } },
    },
    series: series.map(({ name, points, place, hidden }) => ({
      name, type: "line", data: hidden ? [] : points, showSymbol: false, connectNulls: false, sampling: "lttb", color: seriesColour(place),
      lineStyle: { width: 1.6, join: "round" }, emphasis: { disabled: true }, symbolSize: 5,
      areaStyle: area && single ? { opacity: 1, color: { type: "linear", x: 0, y: 0, x2: 0, y2: 1, colorStops: [{ offset: 0, color: `${seriesColour(place)}33` }, { offset: 1, color: `${seriesColour(place)}03` }] } } : undefined,
      markLine: place === 0 && thresholds.length ? {
        silent: true, symbol: "none", animation: false,
        data: thresholds.map(({ value, colour }) => ({ yAxis: value, lineStyle: { color: token(colour === "bad" ? "dead" : "pending"), type: [4, 4], width: 1 }, label: { show: false } })),
      } : undefined,
    })),
  };
}

/** Keep the chart of `el` drawn: returns `draw()`, which asks `make` for the option in the next frame. */
export function drawn(el, make) {
  let chart = null;
  const draw = () => {
    if (chart) inFrame(el, () => chart.isDisposed() || chart.setOption(make(), { replaceMerge: ["series"] }));
  };
  whenChart(el, (made) => {
    chart = made;
    draw();
  });
  charts.set(el, draw);
  return draw;
}

export const forget = (el) => charts.delete(el);
document.addEventListener("dash:theme", () => charts.forEach((draw) => draw()));

// Received events per second of one pipeline, from the statistics in its feed.
define("rate-chart", (el) => {
  const windowMs = duration(el.dataset.window);
  const points = JSON.parse(el.dataset.points ?? "[]");
  const draw = drawn(el, () => {
    const now = Date.now();
    while (points.length && points[0][0] < now - windowMs - 5_000) points.shift();
    return option({ series: [{ name: "Events per second", points: withGaps(points, 20_000), place: 0 }], unit: "/s", window: [now - windowMs, now] });
  });
  let last = 0;
  const end = feed.follow(el.dataset.topic, (frame) => {
    const now = Date.now();
    if (!frame.stats || now - last < 450) return;
    last = now;
    points.push([now, frame.stats.rate_per_sec]);
    draw();
  });
  return () => {
    end();
    forget(el);
  };
});
