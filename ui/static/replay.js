// How far a replay is: its bar and its words; when its state changes, the page is drawn anew.
import { feed } from "./feed.js";
import { integer } from "./format.js";
import { define } from "./live.js";

function span(secs) {
  if (secs < 90) return `${Math.max(1, Math.round(secs))} s`;
  return secs < 5400 ? `${Math.round(secs / 60)} min` : `${(secs / 3600).toFixed(1)} h`;
}

function told(progress) {
  const words = [`${integer(progress.done_events)} of ${integer(progress.total_events)} events`];
  if (progress.rate_per_sec) words.push(`${integer(Math.round(progress.rate_per_sec))} a second`);
  if (progress.secs_left !== null) words.push(`${span(progress.secs_left)} left`);
  if (progress.throttled) words.push("held back in favour of live traffic");
  return words.join(" · ");
}

define("replay", (el) =>
  feed.follow(el.dataset.topic, (frame) => {
    const { replay, progress } = frame;
    if (!replay) return;
    if (replay.id !== el.dataset.id || replay.state !== el.dataset.state) {
      location.reload();
      return;
    }
    if (!progress) return;
    const bar = el.querySelector("[data-slot=bar]");
    if (!bar) return;
    bar.max = Math.max(1, progress.total_events);
    bar.value = progress.done_events;
    el.querySelector("[data-slot=told]").textContent = told(progress);
  }),
);
