// Talks with Maya while the page stays: words are sent by the API, her answer is read as it comes, and the conversation
// is renewed when it is whole. Without this script the same forms wait for the answer.

import { _ } from "./words.js";

const composer = document.getElementById("composer");
const field = document.getElementById("words");
const refused = document.getElementById("refused");
const csrf = document.querySelector("meta[name=csrf]").content;
const KEPT = 502; // from here on a failed answer stands in the conversation, and can be tried again there
let busy = false;

const talk = () => document.getElementById("talk");

function put(kind, text) {
  const block = document.createElement("div");
  const line = document.createElement("p");
  block.className = kind;
  line.textContent = text;
  if (kind === "hers") line.className = "words";
  block.append(line);
  talk().append(block);
  return line;
}

function post(path, body, accept) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf, Accept: accept };
  return fetch(`/api/v1/maya${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    held += read.value;
    for (let end = held.indexOf("\n\n"); end >= 0; end = held.indexOf("\n\n")) {
      const [name, data] = held.slice(0, end).split("\n");
      held = held.slice(end + 2);
      yield [name.replace("event: ", ""), JSON.parse(data.replace("data: ", ""))];
    }
  }
}

function near() {
  return innerHeight + scrollY > document.body.scrollHeight - 400;
}

async function read(answer, line) {
  let said = "";
  for await (const [name, data] of events(answer)) {
    const follow = near();
    if (name === "words") said += data.text;
    if (name === "anew") said = "";
    if (name === "words" || name === "anew") {
      line.classList.remove("thinking");
      line.textContent = said;
    }
    if (follow) line.scrollIntoView({ block: "nearest" });
  }
}

function say(problem) {
  const block = document.createElement("div");
  const line = document.createElement("p");
  block.className = "problem";
  block.setAttribute("role", "alert");
  line.textContent = problem;
  block.append(line);
  refused.replaceChildren(block);
}

async function chatId() {
  const known = talk().dataset.chat;
  if (known) return known;
  const begun = await post("/chats", {}, "application/json");
  if (!begun.ok) throw begun;
  return (await begun.json()).id;
}

// The page as the server has it: the whole conversation, with cards and buttons.
async function renew(id) {
  const page = await fetch(`/maya/chats/${id}`, { headers: { "HX-Request": "true" } });
  if (!page.ok) return location.assign(`/maya/chats/${id}`);
  const fresh = new DOMParser().parseFromString(await page.text(), "text/html");
  const next = document.importNode(fresh.getElementById("talk"), true);
  talk().replaceWith(next);
  for (const each of document.querySelectorAll("input[name=chat]")) each.value = id;
  if (!composer.elements.chat) {
    const hidden = document.createElement("input");
    Object.assign(hidden, { type: "hidden", name: "chat", value: id });
    composer.append(hidden);
    history.replaceState(null, "", `/maya/chats/${id}`);
  }
  window.htmx?.process(next);
  document.dispatchEvent(new Event("htmx:after:swap")); // live parts may have come
  document.getElementById("last")?.scrollIntoView({ block: "start", behavior: "smooth" });
}

async function send(words, card) {
  busy = true;
  refused.replaceChildren();
  talk().removeAttribute("data-live"); // what comes is shown here first, and renewed at the end
  talk().querySelector(".chips")?.remove();
  const mine = put("mine-said", words);
  const hers = put("hers", _("Maya is thinking…"));
  hers.classList.add("thinking");
  hers.scrollIntoView({ block: "nearest", behavior: "smooth" });
  let id = null;
  try {
    id = await chatId();
    talk().dataset.chat = id;
    const answer = await post(`/chats/${id}/messages`, { words, card_id: card ?? null }, "text/event-stream");
    if (!answer.ok) throw answer;
    await read(answer, hers);
    if (field.value.trim() === words) field.value = "";
  } catch (problem) {
    const kept = problem instanceof Response && problem.status >= KEPT;
    if (kept && field.value.trim() === words) field.value = "";
    if (!kept) {
      mine.parentElement.remove();
      hers.parentElement.remove();
      if (!card && !field.value) field.value = words;
      const told = problem instanceof Response ? await problem.json().catch(() => ({})) : {};
      say([told.detail ?? _("The studio can't be reached. Nothing was changed; try again."), told.next_step].filter(Boolean).join(" "));
    }
  }
  if (id) await renew(id).catch(() => {});
  busy = false;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("say" in (form.dataset ?? {}))) return;
  event.preventDefault();
  const words = form.elements.words.value.trim();
  if (words && !busy) send(words, form.elements.card?.value);
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
  event.preventDefault();
  composer.requestSubmit();
});
document.getElementById("last")?.scrollIntoView({ block: "start" });
