// A picture of the wall in full: arrow keys, buttons and swipes go on to its neighbours, Escape closes. The small copy
// shows at once, the whole picture takes its place when it has come.

import { say } from "./asking.js";
import { _ } from "./words.js";

const viewer = document.getElementById("viewer");
const toasts = document.getElementById("toasts");
const picture = viewer?.querySelector("img");
let shown = null;
let from = null;
let neighbour = async () => null;

export function view(beside) {
  neighbour = beside;
}

export function open(tile) {
  shown = tile;
  const link = tile.querySelector("a[data-file]");
  const small = link.querySelector("img");
  picture.width = small.width;
  picture.height = small.height;
  picture.alt = small.alt;
  picture.src = small.currentSrc || small.src;
  whole(tile, link.dataset.file);
  viewer.querySelector("[data-details]").href = link.href;
  viewer.querySelector("[data-download]").href = `${link.dataset.file}?download=true`;
  marks();
  if (viewer.open) return;
  viewer.showModal();
  viewer.append(toasts); // what stands outside of a modal dialog is behind it
}

function whole(tile, address) {
  const coming = new Image();
  coming.addEventListener("load", () => { if (shown === tile) picture.src = address; });
  coming.addEventListener("error", () => { if (shown === tile) say(_("The whole picture did not come; this is its small copy."), () => whole(tile, address)); });
  coming.src = address;
}

function marks() {
  const star = shown.querySelector("[formaction$='/favourite']");
  const mine = viewer.querySelector("[value=favourite]");
  mine.classList.toggle("on", star?.getAttribute("aria-pressed") === "true");
  mine.setAttribute("aria-pressed", star?.getAttribute("aria-pressed") ?? "false");
}

async function go(by) {
  const next = await neighbour(shown, by);
  if (!next) { say(by > 0 ? _("This is the oldest.") : _("This is the newest.")); return; }
  next.scrollIntoView({ block: "center" });
  open(next);
}

async function press(what) {
  const tile = shown;
  if (what === "delete") {
    const next = await neighbour(tile, 1) ?? await neighbour(tile, -1);
    if (next) open(next); else viewer.close();
  }
  tile.querySelector(`[formaction$='/${what}']`)?.click();
}

// The tile is another after a change: the one of its id counts.
new MutationObserver(() => {
  if (!viewer?.open || shown?.isConnected) return;
  const now = shown && document.getElementById(shown.id);
  if (now) { shown = now; marks(); }
}).observe(document.getElementById("wall") ?? document.body, { childList: true, subtree: true });

viewer?.addEventListener("click", (event) => {
  const wanted = event.target.closest("button")?.value;
  if (wanted === "close") viewer.close();
  else if (wanted === "back") go(-1);
  else if (wanted === "on") go(1);
  else if (wanted) press(wanted);
});
viewer?.addEventListener("keydown", (event) => {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const wanted = { f: "favourite", Delete: "delete" }[event.key];
  if (!by && !wanted) return;
  event.preventDefault();
  if (by) go(by); else press(wanted);
});
viewer?.addEventListener("touchstart", (event) => { from = event.touches.length === 1 ? event.touches[0].clientX : null; }, { passive: true });
viewer?.addEventListener("touchend", (event) => {
  const moved = from === null ? 0 : event.changedTouches[0].clientX - from;
  if (Math.abs(moved) > 60) go(moved < 0 ? 1 : -1);
});
viewer?.addEventListener("close", () => { document.body.append(toasts); shown?.querySelector("a, button")?.focus(); picture.removeAttribute("src"); });
