// The list of music and the form that adds to it.

import { MUSIC, ask } from "/static/ask.js";
import { element } from "/static/draw.js";

const SHOWN = 50;
const LONG_LIST = 256 * 1024;
const FIELDS = ["song", "singer"];

const byId = (id) => document.getElementById(id);

let drawnText = null;

/** Whether the list is too long to be read several times a second. */
export let isLong = false;

/** Draws the list from the text of an answer, when it differs from the one that is drawn. */
export function drawSongs({ status, text }) {
  if (status !== 200 || text === "" || text === drawnText) return;
  const songs = parsed(text);
  if (!Array.isArray(songs)) return;
  drawnText = text;
  isLong = text.length > LONG_LIST;
  byId("music-count").textContent = `${songs.length}`;
  byId("songs").replaceChildren(...songs.slice(-SHOWN).reverse().map(songItem));
  byId("songs-hint").textContent = hint(songs.length);
}

export function drawNoSongs({ status }) {
  if (drawnText === null) byId("songs-hint").textContent = `The list could not be read${status ? ` (${status})` : ""}.`;
}

function hint(count) {
  if (count === 0) return "No music yet. Add the first song.";
  return count > SHOWN ? `The newest ${SHOWN} of ${count}.` : "";
}

function songItem({ id, song, singer }) {
  const item = element("li");
  item.append(element("span", "title", song), element("span", "singer", singer), element("span", "id", `#${id}`));
  return item;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Sends what the form holds; `answered` is told of the answer, which took a turn as well. */
export async function addSong(form, answered) {
  const button = form.querySelector("button");
  button.disabled = true;
  const values = Object.fromEntries(FIELDS.map((name) => [name, byId(name).value]));
  const answer = await ask(MUSIC, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(values),
  });
  button.disabled = false;
  answered(answer);
  if (answer.status === 201) await added(form, answer);
  else refused(answer);
}

async function added(form, { instance }) {
  form.reset();
  showErrors({});
  showOutcome(`Added by ${instance}.`, false);
  byId("song").focus();
}

function refused({ status, text }) {
  const body = parsed(text);
  const errors = body !== null && typeof body === "object" ? body : {};
  showErrors(errors);
  const other = Object.entries(errors)
    .filter(([name]) => !FIELDS.includes(name))
    .map(([, messages]) => sentence(messages));
  const hasFieldError = FIELDS.some((name) => name in errors);
  const fallback = hasFieldError ? "Not added." : `Not added: ${reason(status)}`;
  if (status === 403) {
    showOutcome(`Not added: ${other.join(" ") || reason(status)} Please log in first.`, true);
    byId("sign-in").focus();
    return;
  }
  showOutcome(other.length > 0 ? `Not added: ${other.join(" ")}` : fallback, true);
}

function reason(status) {
  if (status === 0) return "no answer came. It may have been added all the same: look at the list.";
  return status === 503 ? "no instance can do it now (503). Try again." : `the answer was ${status}.`;
}

function sentence(messages) {
  return [messages].flat().filter((message) => typeof message === "string").join(" ");
}

function showErrors(errors) {
  let first = null;
  for (const name of FIELDS) {
    const message = name in errors ? sentence(errors[name]) : "";
    const input = byId(name);
    byId(`${name}-error`).textContent = message;
    if (message) {
      input.setAttribute("aria-invalid", "true");
      first ??= input;
    } else {
      input.removeAttribute("aria-invalid");
    }
  }
  first?.focus();
}

function showOutcome(text, isError) {
  const outcome = byId("add-outcome");
  outcome.textContent = text;
  outcome.classList.toggle("bad", isError);
}
