// Wires the page: the controls, the metronome that asks, the tally that counts, and what draws.
// The settings stand in the address, so that they can be kept and shared: ?start&rate=10&weights=4,6

import { MUSIC, Metronome, ask } from "/static/ask.js";
import { drawLastTime, drawTally, element, forgetEvents, tell } from "/static/draw.js";
import { addSong, drawNoSongs, drawSongs, isLong } from "/static/songs.js";
import { Tally } from "/static/tally.js";

const byId = (id) => document.getElementById(id);
const settings = new URLSearchParams(location.search);

const tally = new Tally(weightsFrom(settings.get("weights") ?? "4,6"));
const metronome = new Metronome(askForMusic);
let isDrawDue = false;

/** The N-th weight is that of the N-th service: api, api2, api3 … as `stack up --weights` has it. */
function weightsFrom(text) {
  const weights = text.split(",").map((weight) => wholeNumber(weight));
  return new Map(weights.map((weight, at) => [at === 0 ? "api" : `api${at + 1}`, weight ?? 1]));
}

function wholeNumber(text) {
  return /^\s*\d{1,4}\s*$/.test(text) ? Number(text) : null;
}

async function askForMusic() {
  const answer = await ask(MUSIC, { method: isLong ? "HEAD" : "GET" });
  answered(answer);
  if (answer.status === 200) drawSongs(answer);
  else drawNoSongs(answer);
}

function answered(answer) {
  tell(tally.record(answer));
  for (const { service } of tally.known()) {
    if (!tally.weights.has(service)) addWeight(service, 1);
  }
  drawSoon();
  drawLastTime(answer);
}

function drawSoon() {
  if (isDrawDue) return;
  isDrawDue = true;
  requestAnimationFrame(() => {
    isDrawDue = false;
    drawTally(tally, metronome.isRunning);
  });
}

function addWeight(service, weight) {
  tally.weights.set(service, weight);
  const label = element("label", "", `${service} `);
  const input = element("input");
  Object.assign(input, { type: "number", min: 0, max: 1000, step: 1, value: weight, inputMode: "numeric" });
  input.addEventListener("input", () => {
    const changed = wholeNumber(input.value);
    if (changed === null) return;
    tally.weights.set(service, changed);
    keep("weights", [...tally.weights.values()].join(","));
    drawSoon();
  });
  label.append(input);
  byId("weight-fields").append(label);
}

function keep(name, value) {
  settings.set(name, value);
  const query = settings.toString().replaceAll("%2C", ",").replace(/(^|&)start=(&|$)/, "$1start$2");
  history.replaceState(null, "", `${location.pathname}?${query}`);
}

function bindSelect(id, name, apply) {
  const select = byId(id);
  const wanted = settings.get(name);
  if ([...select.options].some((option) => option.value === wanted)) select.value = wanted;
  apply(Number(select.value));
  select.addEventListener("change", () => {
    apply(Number(select.value));
    keep(name, select.value);
  });
}

bindSelect("rate", "rate", (rate) => { metronome.rate = rate; });
bindSelect("at-a-time", "at-a-time", (count) => { metronome.atATime = count; });
for (const [service, weight] of tally.weights) addWeight(service, weight);

byId("toggle").addEventListener("click", () => {
  if (metronome.isRunning) metronome.stop();
  else metronome.start();
  drawSoon();
});
byId("once").addEventListener("click", askForMusic);
byId("clear").addEventListener("click", () => {
  tally.clear();
  forgetEvents();
  drawSoon();
});
byId("weights").addEventListener("submit", (event) => event.preventDefault());
byId("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  await addSong(event.target, answered);
  if (!metronome.isRunning) await askForMusic();
});
byId("curl").textContent = `curl -si ${location.origin}${MUSIC}`;

drawTally(tally, false);
if (settings.has("start")) metronome.start();
else ask(MUSIC).then((answer) => (answer.status === 200 ? drawSongs(answer) : drawNoSongs(answer)));
