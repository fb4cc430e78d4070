// Photos in: chosen or dropped, sent in pieces one after another, each with its bar and then its verdict.
// A line that breaks goes on where it stopped; what can't be sent has a button to try again.

import { _ } from "./words.js";

const PIECE = 2 ** 20;
const TRIES = 4;
const tray = document.getElementById("tray");
const list = document.getElementById("coming");
const token = document.querySelector("meta[name=csrf]").content;
let before = Promise.resolve(); // one at a time, so that each is compared with those before it

class Refused extends Error {}

function part(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function row(file) {
  const item = document.createElement("li");
  const preview = document.createElement("img");
  preview.alt = "";
  preview.src = URL.createObjectURL(file);
  preview.addEventListener("load", () => URL.revokeObjectURL(preview.src));
  preview.addEventListener("error", () => preview.replaceWith(part("span", "none"))); // HEIC, where the browser can't
  const state = part("p", "state hint", _("Waiting"));
  item.append(preview, part("span", "name", file.name), part("span", "percent"), state);
  list.append(item);
  return item;
}

function say(item, text, kind = "hint") {
  const state = item.querySelector(".state");
  state.className = `state ${kind}`;
  state.textContent = text;
}

async function answer(response) {
  const body = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (response.ok) return body;
  const words = [body.detail ?? _("The studio answered %(status)s.", { status: response.status }), body.next_step].filter((each) => each && !each.includes("/api/"));
  throw new Refused(words.join(" "));
}

function begin(file) {
  const body = JSON.stringify({ file_name: file.name.slice(0, 1000) || "photo", length: file.size });
  return fetch("/api/v1/uploads", { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": token }, body }).then(answer);
}

function send(upload, piece, offset) {
  const headers = { "Content-Type": "application/partial-upload", "Upload-Offset": String(offset), "X-CSRF-Token": token };
  return fetch(`/api/v1/uploads/${upload.id}`, { method: "PATCH", headers, body: piece }).then(answer);
}

async function whole(file, shown) {
  let upload = null;
  for (let tries = TRIES; ; ) {
    try {
      upload ??= await begin(file);
      while (!upload.selfie) {
        shown(upload.offset / file.size);
        upload = await send(upload, file.slice(upload.offset, upload.offset + PIECE), upload.offset);
        tries = TRIES;
      }
      return upload.selfie;
    } catch (error) {
      if (error instanceof Refused || --tries === 0) throw error;
      await new Promise((later) => setTimeout(later, 1000 * 2 ** (TRIES - tries)));
      if (upload) upload = await fetch(`/api/v1/uploads/${upload.id}`).then(answer).catch((told) => { if (told instanceof Refused) throw told; return upload; });
    }
  }
}

async function take(file, item) {
  say(item, _("On its way"));
  const percent = item.querySelector(".percent");
  try {
    const selfie = await whole(file, (share) => {
      percent.textContent = `${Math.round(share * 100)} %`;
      if (share * file.size + PIECE >= file.size) say(item, _("Being judged"));
    });
    percent.textContent = "";
    if (selfie.status === "accepted") say(item, _("Accepted"), "good");
    else if (selfie.status === "waiting") say(item, _("In, and waiting until its faces are counted"));
    else say(item, selfie.reason, "bad");
  } catch (error) {
    percent.textContent = "";
    say(item, error instanceof Refused ? error.message : _("It did not arrive: the line is broken."), "bad");
    const again = part("button", "button quiet", _("Try again"));
    again.addEventListener("click", () => { again.remove(); queue(file, item); });
    item.querySelector(".state").append(" ", again);
  }
  for (const id of ["count", "photos"]) window.htmx?.trigger(document.getElementById(id), "moved");
}

function queue(file, item) {
  before = before.then(() => take(file, item));
}

function add(files) {
  for (const file of files) queue(file, row(file));
}

if (tray) {
  tray.hidden = false;
  for (const id of ["files", "camera"]) {
    const input = document.getElementById(id);
    input.addEventListener("change", () => { add(input.files); input.value = ""; });
  }
  for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    tray.addEventListener(kind, (event) => { event.preventDefault(); tray.classList.toggle("over", over); });
  }
  tray.addEventListener("drop", (event) => add(event.dataTransfer.files));
  window.addEventListener("beforeunload", (event) => { if (list.querySelector(".percent:not(:empty)")) event.preventDefault(); });
}
