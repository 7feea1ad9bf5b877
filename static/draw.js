// Draws a tally into the page. Whatever comes from outside is set as text, never as markup.

const COLOURS = 6;
const KEPT_EVENTS = 30;
const SHOWN_ROWS = 6;

const byId = (id) => document.getElementById(id);

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A colour alone tells nothing to many people, so each instance has a letter too. */
function letterOf(index) {
  return index < 26 ? String.fromCharCode(65 + index) : String(index + 1);
}

function paintDot(dot, answer, instance) {
  const colour = instance ? ` colour-${instance.index % COLOURS}` : "";
  dot.className = answer.isOk ? `dot${colour}` : "dot failed";
  dot.textContent = instance ? letterOf(instance.index) : "!";
}

function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** Draws all that follows from the tally; cheap enough for every frame. */
export function drawTally(tally, isRunning) {
  const rows = tally.rows();
  drawLast(tally);
  drawCounts(tally);
  drawTurns(tally, rows);
  drawShares(tally, rows.flat());
  byId("toggle").textContent = isRunning ? "Stop" : "Start";
  document.body.classList.toggle("running", isRunning);
}

export function drawLastTime(answer) {
  const time = `${Math.round(answer.elapsed)} ms`;
  byId("last-more").textContent = answer.status === 0 ? "no answer" : `${answer.status} in ${time}`;
}

function drawLast(tally) {
  const answer = tally.answers.at(-1);
  const dot = byId("last-dot");
  if (answer === undefined) {
    dot.className = "dot empty";
    dot.textContent = "";
    byId("last-name").textContent = "nobody yet";
    byId("last-more").textContent = "press Start";
    return;
  }
  paintDot(dot, answer, tally.instances.get(answer.instance));
  byId("last-name").textContent = answer.instance ?? "nobody";
}

function drawCounts(tally) {
  byId("count-ok").textContent = tally.ok;
  byId("count-503").textContent = tally.unavailable;
  byId("count-other").textContent = tally.otherErrors;
  byId("tile-503").classList.toggle("alarm", tally.unavailable > 0);
  byId("tile-other").classList.toggle("alarm", tally.otherErrors > 0);
  const median = tally.median();
  byId("median").textContent = median === null ? "–" : `${median < 10 ? median.toFixed(1) : Math.round(median)} ms`;
}

function drawTurns(tally, rows) {
  const columns = tally.columns();
  const turns = byId("turns");
  turns.style.setProperty("--columns", columns);
  const expected = tally.expectedRow();
  for (let at = 0; at < SHOWN_ROWS; at += 1) {
    const row = turns.children[at] ?? turns.appendChild(newRow());
    drawRow(row, rows[at] ?? [], columns, tally, expected);
  }
  const shown = rows.flat();
  turns.setAttribute("aria-label", shown.length === 0 ? "No answers yet" : described(shown));
  byId("turns-hint").textContent =
    `${columns} turns a row, newest last` +
    (expected ? `; ✓ marks a row that holds exactly ${listed(tally, expected)}.` : ".");
}

function newRow() {
  const row = element("div", "row");
  row.append(element("div", "cells"), element("span", "sum"));
  return row;
}

function drawRow(row, answers, columns, tally, expected) {
  const [cells, sum] = row.children;
  while (cells.children.length > columns) cells.lastChild.remove();
  while (cells.children.length < columns) cells.append(element("span", "dot empty"));
  [...cells.children].forEach((dot, at) => {
    const answer = answers[at];
    if (answer !== undefined) return paintDot(dot, answer, tally.instances.get(answer.instance));
    dot.className = "dot empty";
    dot.textContent = "";
  });
  const counts = countBy(answers);
  const isExact = expected !== null && answers.length === columns &&
    [...expected].every(([name, count]) => counts.get(name) === count);
  sum.textContent = isExact ? "✓" : "";
}

function listed(tally, expected) {
  const parts = tally.known().map(({ name, index }) => `${expected.get(name)}\u00a0${letterOf(index)}`);
  return parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : parts[0];
}

function countBy(answers) {
  const counts = new Map();
  for (const { instance } of answers) counts.set(instance, (counts.get(instance) ?? 0) + 1);
  return counts;
}

function described(answers) {
  const parts = [...countBy(answers)].map(([name, count]) => `${count} from ${name ?? "nobody"}`);
  return `The last ${answers.length} answers: ${parts.join(", ")}`;
}

function drawShares(tally, shown) {
  const counts = countBy(shown);
  const answered = shown.filter(({ instance }) => instance !== null).length;
  const list = byId("shares");
  const known = tally.known();
  while (list.children.length > known.length) list.lastChild.remove();
  known.forEach((instance, at) => {
    const item = list.children[at] ?? list.appendChild(newShare());
    const count = counts.get(instance.name) ?? 0;
    drawShare(item, instance, count, answered, tally.expectedShare(instance));
  });
  byId("shares-hint").textContent = known.length === 0
    ? "Each instance gets a bar with its first answer."
    : "Bars: the turns shown. The mark on a bar: what the weights promise.";
}

function newShare() {
  const item = element("li", "share");
  const bar = element("div", "bar");
  bar.append(element("span", "fill"), element("span", "mark"));
  bar.setAttribute("aria-hidden", "true");
  const dot = element("span", "dot");
  dot.setAttribute("aria-hidden", "true");
  item.append(dot, element("span", "name"), element("span", "state"), bar, element("span", "figures"), element("span", "total"));
  return item;
}

function drawShare(item, instance, count, answered, expected) {
  const [dot, name, state, bar, figures, total] = item.children;
  const share = answered === 0 ? 0 : count / answered;
  paintDot(dot, { isOk: true }, instance);
  item.classList.toggle("away", instance.isAway);
  name.textContent = instance.name;
  state.textContent = instance.isAway ? "silent" : "";
  bar.firstChild.className = `fill colour-${instance.index % COLOURS}`;
  bar.firstChild.style.inlineSize = `${share * 100}%`;
  bar.lastChild.style.insetInlineStart = `${expected * 100}%`;
  bar.lastChild.hidden = instance.isAway;
  figures.textContent = `${percent(share)}, expected ${percent(expected)}`;
  total.textContent = `${count} of ${answered}, ${instance.total} in all`;
}

/** Writes what happened on top of the list, with the time. */
export function tell(events) {
  const list = byId("events");
  for (const { instance, text, isError } of events) {
    const item = element("li", isError ? "bad" : "");
    const time = element("time", "", new Date().toLocaleTimeString([], { hour12: false }));
    item.append(time, " ");
    if (instance) item.append(element("strong", "", instance.name), " ");
    item.append(text);
    list.prepend(item);
  }
  while (list.children.length > KEPT_EVENTS) list.lastChild.remove();
  byId("events-hint").hidden = list.children.length > 0;
}

export function forgetEvents() {
  byId("events").replaceChildren();
  byId("events-hint").hidden = false;
}
