// What the answers so far say: who answered, who fell silent, and who should have answered how
// often. Nothing here touches the page or the network.

const ROWS = 6;
const WIDEST_ROW = 12;
const KEPT_TIMES = 60;
const FORGOTTEN_AFTER = 300;

/** The service of an instance: "api" for "api_1" (Compose 1) and "api-1" (Compose 2). */
export function serviceOf(instance) {
  return instance.replace(/[-_]\d+$/, "") || instance;
}

function divisor(a, b) {
  return b === 0 ? a : divisor(b, a % b);
}

export class Tally {
  /** @param {Map<string, number>} weights by service, in the order of their letters */
  constructor(weights) {
    this.weights = weights;
    this.clear();
  }

  clear() {
    this.instances = new Map();
    this.answers = [];
    this.times = [];
    this.turn = 0;
    this.ok = 0;
    this.unavailable = 0;
    this.otherErrors = 0;
    this.failedInRow = 0;
  }

  /**
   * Takes one answer in and returns what is worth telling, oldest first.
   * @param {{instance: string|null, status: number, elapsed: number}} answer
   *   status 0: none came. instance null: none answered, the proxy or the browser gave up.
   */
  record({ instance, status, elapsed }) {
    const told = [];
    // An instance that refuses a request as wrong has answered it.
    const isOk = status >= 200 && status < (instance === null ? 400 : 500);
    this.turn += 1;
    this.answers.push({ instance, isOk, status });
    this.answers.splice(0, this.answers.length - 20 * WIDEST_ROW);
    this.count(status, isOk, elapsed, told);
    if (instance !== null) this.see(instance, told);
    this.missSilent(told);
    return told;
  }

  count(status, isOk, elapsed, told) {
    if (isOk) {
      if (this.failedInRow > 0) told.push({ text: `answers again after ${this.failedInRow} failed` });
      this.failedInRow = 0;
      this.ok += 1;
      this.times.push(elapsed);
      this.times.splice(0, this.times.length - KEPT_TIMES);
      return;
    }
    if (this.failedInRow === 0) {
      const cause = status === 0 ? "no answer from the proxy" : `the answer was ${status}`;
      told.push({ text: cause, isError: true });
    }
    this.failedInRow += 1;
    if (status === 503) this.unavailable += 1;
    else this.otherErrors += 1;
  }

  see(name, told) {
    let instance = this.instances.get(name);
    if (instance === undefined) {
      instance = { name, service: serviceOf(name), index: this.freeIndex(name), total: 0, isAway: false };
      this.instances.set(name, instance);
      told.push({ instance, text: "answers" });
    } else if (instance.isAway) {
      instance.isAway = false;
      told.push({ instance, text: "is back" });
    }
    instance.total += 1;
    instance.turn = this.turn;
  }

  missSilent(told) {
    for (const instance of this.instances.values()) {
      const silent = this.turn - instance.turn;
      if (!instance.isAway && silent > this.patience(instance)) {
        instance.isAway = true;
        told.push({ instance, text: `silent for ${silent} answers`, isError: true });
      } else if (silent > FORGOTTEN_AFTER && this.known().some((other) => !other.isAway)) {
        this.instances.delete(instance.name);
        told.push({ instance, text: `silent for ${silent} answers, taken off the list` });
      }
    }
  }

  /** How many turns of others are unremarkable: four of its own cycles, and never under 10. */
  patience(instance) {
    const share = this.expectedShare(instance);
    return share > 0 ? Math.max(10, Math.ceil(4 / share)) : Infinity;
  }

  /** The first instance of the N-th service has the N-th letter if it can, any other the next free. */
  freeIndex(name) {
    const taken = new Set([...this.instances.values()].map((instance) => instance.index));
    const own = [...this.weights.keys()].indexOf(serviceOf(name));
    if (own >= 0 && !taken.has(own) && /[-_]1$/.test(name)) return own;
    let index = this.weights.size;
    while (taken.has(index)) index += 1;
    return index;
  }

  /** All instances ever seen, in the order of their letters. */
  known() {
    return [...this.instances.values()].sort((one, other) => one.index - other.index);
  }

  weightOf(instance) {
    return this.weights.get(instance.service) ?? 1;
  }

  /** The share that an instance should have now, among those that answer. */
  expectedShare(instance) {
    if (instance.isAway) return 0;
    const present = this.known().filter((other) => !other.isAway);
    const sum = present.reduce((total, other) => total + this.weightOf(other), 0);
    return sum > 0 ? this.weightOf(instance) / sum : 0;
  }

  /** How many turns make a row: whole cycles of the balancer, so that full rows look alike. */
  columns() {
    const known = this.known().map((instance) => this.weightOf(instance));
    const weights = known.length > 1 ? known : [...this.weights.values()];
    const common = weights.reduce(divisor, 0) || 1;
    const cycle = weights.reduce((sum, weight) => sum + weight, 0) / common;
    if (cycle > 20 || cycle < 1) return 10;
    return cycle > WIDEST_ROW ? cycle : cycle * Math.floor(WIDEST_ROW / cycle);
  }

  /** The last answers in rows of `columns()`; the last row may be still filling. */
  rows() {
    const columns = this.columns();
    const current = this.turn % columns || Math.min(this.turn, columns);
    const shown = this.answers.slice(-(current + (ROWS - 1) * columns));
    const rows = [];
    for (let at = 0; at < shown.length; at += columns) rows.push(shown.slice(at, at + columns));
    return rows;
  }

  /** How many of each instance's answers a full row should hold; null while one is silent, or no row fits. */
  expectedRow() {
    const known = this.known();
    if (known.length === 0 || known.some((instance) => instance.isAway)) return null;
    const columns = this.columns();
    const counts = known.map((instance) => [instance.name, columns * this.expectedShare(instance)]);
    const isWhole = counts.every(([, count]) => Math.abs(count - Math.round(count)) < 1e-9);
    return isWhole ? new Map(counts.map(([name, count]) => [name, Math.round(count)])) : null;
  }

  /** The middle of the last times, in milliseconds. */
  median() {
    if (this.times.length === 0) return null;
    return [...this.times].sort((a, b) => a - b)[Math.floor(this.times.length / 2)];
  }
}
