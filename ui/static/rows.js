// The table of recent records: the newest first, redrawn at most four times a second.
import { feed } from "./feed.js";
import { clock, eventNumber, NONE } from "./format.js";
import { define, h, paced } from "./live.js";

const KEEP = 100;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

export function columnsOf(rows) {
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  const own = [...names].filter((name) => !name.startsWith("_"));
  return ["_time", ...own, ...["_extra", "_seq"].filter((name) => names.has(name))].filter((name) => names.has(name));
}

/** One cell, by what the value is. */
export function cell(value, name) {
  if (value === null || value === undefined) return h("td", { class: "null" }, NONE);
  if (name === "_seq") return h("td", { class: "num" }, eventNumber(value));
  if (typeof value === "number") return h("td", { class: "num" }, Number.isInteger(value) ? String(value) : String(+value.toPrecision(9)));
  if (typeof value === "boolean") return h("td", {}, String(value));
  if (typeof value === "string" && (name === "_time" || ISO.test(value))) {
    const date = new Date(value);
    if (!Number.isNaN(date.valueOf())) return h("td", { title: value }, clock(date, true));
  }
  const words = typeof value === "string" ? value : JSON.stringify(value);
  const css = name === "_extra" || typeof value === "object" ? "mono faint" : "";
  return h("td", { class: css, title: words.length > 40 ? words : null }, words.slice(0, 200));
}

const heading = (name) => ({ _time: "Time", _seq: "Event", _extra: "_extra" })[name] ?? name;

/** Draw `rows` (in the order given) into a table below `el`. `open(seq)`: what a click on a row does. */
export function drawRows(el, rows, open, freshAfter = Infinity) {
  const columns = columnsOf(rows);
  const numeric = new Set(columns.filter((name) => rows.some((row) => typeof row[name] === "number")));
  const head = h("tr", {}, ...columns.map((name) => h("th", { scope: "col", class: numeric.has(name) ? "num" : null }, heading(name))));
  const lines = rows.map((row) =>
    h(
      "tr",
      {
        tabindex: "0",
        class: row._seq > freshAfter ? "fresh" : null,
        title: "Show the event behind this record",
        onclick: () => open(row._seq),
        onkeydown: (event) => event.key === "Enter" && open(row._seq),
      },
      ...columns.map((name) => cell(row[name], name)),
    ),
  );
  const table = h("table", { class: "table dense hover" }, h("thead", {}, head), h("tbody", {}, ...lines));
  const wrap = el.querySelector(".table-wrap") ?? h("div", { class: "table-wrap", tabindex: "-1" });
  wrap.replaceChildren(table);
  if (!wrap.isConnected) el.replaceChildren(wrap);
  return wrap;
}

export function message(el, title, text) {
  el.replaceChildren(h("section", { class: "notice slim" }, h("h2", {}, title), h("p", {}, text)));
}

function hold(el, resume) {
  const wrap = el.querySelector(".table-wrap");
  if (wrap.querySelector(".held")) return;
  wrap.prepend(h("button", { type: "button", class: "held", onclick: resume }, "Held while you read · show the newest"));
}

const opener = (el) => (seq) => el.dispatchEvent(new CustomEvent("row", { detail: seq }));

define("rows", (el) => {
  let rows = [];
  let seen = null;
  let release = false;
  // Nothing moves under somebody who reads further down or steps through the rows.
  const held = () => !release && ((el.querySelector(".table-wrap")?.scrollTop ?? 0) > 4 || el.querySelector("tr:focus-visible"));
  const draw = paced(250, () => {
    if (rows.length === 0) {
      message(el, "No records yet", el.dataset.empty);
      return;
    }
    if (held()) {
      hold(el, () => {
        release = true;
        draw();
      });
      return;
    }
    const wrap = drawRows(el, rows, opener(el), seen ?? Infinity);
    if (release) wrap.scrollTop = 0;
    if (release || seen === null) wrap.onscroll = () => wrap.scrollTop === 0 && draw();
    release = false;
    seen = rows[0]._seq;
  });
  return feed.follow(el.dataset.topic, (frame) => {
    if (frame.error) {
      message(el, "The feed refused this pipeline", frame.error.title);
      return;
    }
    const newest = (frame.rows ?? []).toReversed();
    rows = (frame.snapshot ? newest : [...newest, ...rows]).slice(0, KEEP);
    draw();
  });
});

/** Records of a time range, a page at a time, from the API. */
define("records", (el) => {
  const list = el.querySelector("[data-list]");
  const more = el.querySelector("[data-more]");
  let rows = [];
  let cursor = null;
  const load = async (fresh) => {
    if (fresh) {
      rows = [];
      cursor = null;
    }
    const query = new URLSearchParams({ limit: "100", ...(el.dataset.from && { from: el.dataset.from }), ...(el.dataset.to && { to: el.dataset.to }) });
    if (cursor) query.set("cursor", cursor);
    const answer = await fetch(`/api/v1/pipelines/${el.dataset.id}/records?${query}`, { headers: { accept: "application/json" } });
    const body = await answer.json();
    if (!answer.ok) {
      message(list, "These records could not be read", body.title ?? body.detail ?? "Try another range.");
      return;
    }
    rows.push(...body.items);
    cursor = body.next_cursor;
    more.hidden = !cursor;
    if (rows.length) drawRows(list, rows, opener(el));
    else message(list, "No records in this range", "Choose a longer range, or look at the dead letters.");
  };
  more.addEventListener("click", () => load(false));
  load(true).catch(() => message(list, "The appliance did not answer", "Check that it runs, then reload this page."));
});
