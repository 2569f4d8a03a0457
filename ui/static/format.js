// Numbers and times as people read them. Everything here is pure.
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const MINUS = "\u2212";
export const NONE = "\u2013";

export function integer(value) {
  return value === null || value === undefined ? NONE : whole.format(value);
}

/** Number of an event as people say it, thousands set apart: 42; of partition 1 it is 1:1,234. */
export function eventNumber(seq) {
  const partition = Math.floor(seq / 2 ** 44);
  return (partition ? `${partition}:` : "") + whole.format(seq % 2 ** 44);
}

/** Three significant digits, thousands by k, M, G. */
export function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : "";
  for (const [limit, suffix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k", 1e3]]) {
    if (size >= limit) return sign + digits(size / (suffix === "k" ? 1e3 : limit)) + suffix;
  }
  return sign + (Number.isInteger(size) ? whole.format(size) : digits(size));
}

function digits(size) {
  if (size >= 100) return whole.format(size);
  if (size >= 10) return size.toFixed(1).replace(/\.0$/, "");
  if (size >= 0.01) return size.toFixed(2).replace(/\.?0+$/, "");
  return size === 0 ? "0" : size.toPrecision(2);
}

function binary(value) {
  let step = 0;
  let size = Math.abs(value);
  for (; size >= 1024 && step < BINARY.length - 1; step++) size /= 1024;
  return [(value < 0 ? MINUS : "") + (step ? digits(size) : size.toFixed(0)), BINARY[step]];
}

/** Return [number, unit] of a value in the unit a widget names. */
export function measure(value, unit) {
  if (value === null || value === undefined || !Number.isFinite(Number(value))) return [NONE, ""];
  const number = Number(value);
  switch (unit) {
    case "%":
    case "percent":
      return [number >= 99.95 || number === 0 ? number.toFixed(0) : number.toFixed(1), "%"];
    case "B":
    case "bytes":
      return binary(number);
    case "B/s":
    case "bytes/s": {
      const [size, prefix] = binary(number);
      return [size, `${prefix}/s`];
    }
    default:
      return [short(number), unit ?? ""];
  }
}

export function text(value, unit) {
  const [number, suffix] = measure(value, unit);
  return suffix === "" || suffix === "%" ? number + suffix : `${number} ${suffix}`;
}

export function ago(date, now = Date.now()) {
  const secs = Math.max(0, (now - date) / 1000);
  if (secs < 2) return "just now";
  if (secs < 60) return `${Math.floor(secs)} s ago`;
  if (secs < 3600) return `${Math.floor(secs / 60)} min ago`;
  if (secs < 86_400) return `${Math.floor(secs / 3600)} h ago`;
  return `${Math.floor(secs / 86_400)} d ago`;
}

export function span(secs) {
  if (secs < 1) return `${Math.round(secs * 1000)} ms`;
  if (secs < 60) return `${secs.toFixed(secs < 10 ? 1 : 0)} s`;
  if (secs < 3600) return `${Math.floor(secs / 60)} min`;
  return `${(secs / 3600).toFixed(1)} h`;
}

const pad = (number, width = 2) => String(number).padStart(width, "0");

/** Local time of day; with the date when it was another day. `ms`: with milliseconds. */
export function clock(date, ms = false) {
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  const day = date.toDateString() === new Date().toDateString() ? "" : `${calendar(date)} `;
  return day + time + (ms ? `.${pad(date.getMilliseconds(), 3)}` : "");
}

export function calendar(date) {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

const UNITS = { ms: 1, s: 1e3, m: 6e4, min: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/** Milliseconds of a duration such as "15m"; null where it is none. */
export function duration(words) {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)$/.exec(words ?? "");
  return match ? Number(match[1]) * UNITS[match[2]] : null;
}
