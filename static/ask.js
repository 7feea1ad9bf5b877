// Asks the API: once, or again and again at a steady rate.

export const MUSIC = "/api/music/";
const PATIENCE_MS = 15_000;

/**
 * Sends one request and tells who answered; never throws.
 * @returns {Promise<{instance: string|null, status: number, elapsed: number, response: Response|null, text: string}>}
 */
export async function ask(path, options = {}) {
  const begun = performance.now();
  try {
    const response = await fetch(path, {
      cache: "no-store",
      headers: { Accept: "application/json", ...options.headers },
      method: options.method ?? "GET",
      body: options.body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const elapsed = performance.now() - begun;
    const text = await response.text();
    return { instance: instanceOf(response), status: response.status, elapsed, response, text };
  } catch {
    return { instance: null, status: 0, elapsed: performance.now() - begun, response: null, text: "" };
  }
}

/** The name in X-Instance; null for an error that the proxy made itself. */
function instanceOf(response) {
  const name = response.headers.get("X-Instance");
  return name === "proxy" && response.status >= 400 ? null : (name ?? "(no name)");
}

/** Calls a function at a steady rate while it runs, at most so many at a time. */
export class Metronome {
  #timer = null;
  #due = 0;
  #underWay = 0;

  constructor(beat) {
    this.beat = beat;
    this.rate = 5;
    this.atATime = 1;
  }

  get isRunning() {
    return this.#timer !== null;
  }

  start() {
    if (this.isRunning) return;
    this.#due = performance.now();
    this.#timer = setTimeout(() => this.#tick(), 0);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #tick() {
    // Beats that were missed, in a hidden tab or behind a slow answer, are not made up for.
    const now = performance.now();
    this.#due = Math.max(this.#due + 1000 / this.rate, now);
    this.#timer = setTimeout(() => this.#tick(), this.#due - now);
    if (this.#underWay >= this.atATime) return;
    this.#underWay += 1;
    try {
      await this.beat();
    } finally {
      this.#underWay -= 1;
    }
  }
}
