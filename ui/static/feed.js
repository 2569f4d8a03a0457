// The live feed: one WebSocket a page, any number of topics, reconnecting by itself.
const HIDDEN_PAUSE_MS = 5_000;
const BACKOFF_MS = [300, 700, 1_500, 3_000, 6_000, 12_000];

/** Keep numbers that JavaScript cannot hold (1e400, 20 digits) as they came, where the browser tells how that was. */
function exact(_, value, context) {
  const held = typeof value !== "number" || (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value));
  return held || !context || !JSON.rawJSON ? value : JSON.rawJSON(context.source);
}

class Feed extends EventTarget {
  #topics = new Map(); // topic -> Set of listeners
  #socket = null;
  #attempt = 0;
  #timer = null;
  state = "idle"; // idle, connecting, live, paused

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => this.#visibility());
    window.addEventListener("online", () => this.#soon(0));
    window.addEventListener("pageshow", (event) => event.persisted && this.#soon(0));
    window.addEventListener("pagehide", () => this.#socket?.close());
  }

  /** Call `listener(frame)` for every frame of `topic`; returns the function that ends it. */
  follow(topic, listener) {
    const listeners = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, listeners.add(listener));
    if (this.state === "live" && listeners.size === 1) this.#send("subscribe", [topic]);
    else if (!this.#socket && this.state !== "paused") this.#soon(0);
    return () => {
      listeners.delete(listener);
      if (listeners.size) return;
      this.#topics.delete(topic);
      if (this.state === "live") this.#send("unsubscribe", [topic]);
    };
  }

  #say(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  #send(verb, topics) {
    this.#socket?.send(JSON.stringify({ [verb]: topics }));
  }

  #soon(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), ms);
  }

  #open() {
    if (this.#socket || this.#topics.size === 0 || document.hidden) return;
    this.#say("connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/feed`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#attempt = 0;
      this.#say("live");
      this.#send("subscribe", [...this.#topics.keys()]);
    };
    socket.onmessage = (message) => {
      const frame = JSON.parse(message.data, exact);
      for (const listener of this.#topics.get(frame.topic) ?? []) listener(frame);
    };
    socket.onclose = (event) => this.#closed(socket, event);
  }

  #closed(socket, event) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    if (this.state === "paused") return;
    this.#say("connecting");
    if (event.code === 4401) {
      location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
      return;
    }
    const wait = BACKOFF_MS[Math.min(this.#attempt++, BACKOFF_MS.length - 1)];
    this.#soon(wait * (0.7 + Math.random() * 0.6));
  }

  // A hidden tab costs nobody anything: after a moment its socket is closed, and opened again (with snapshots) on return.
  #visibility() {
    clearTimeout(this.#timer);
    if (!document.hidden) {
      if (!this.#socket) this.#open();
      return;
    }
    this.#timer = setTimeout(() => {
      const socket = this.#socket;
      if (!socket) return;
      this.#socket = null;
      this.#say("paused");
      socket.close();
    }, HIDDEN_PAUSE_MS);
  }
}

export const feed = new Feed();
