// The gallery's wall: pages come before they are reached and leave when they are far away, so that a hundred thousand
// pictures weigh as much as a few hundred. Keys and choosing; a picture in full is viewer.js.

import { change, fetched, say } from "./asking.js";
import { awaited, held } from "./flight.js";
import { open, view } from "./viewer.js";
import { _ } from "./words.js";

const AHEAD = "1800px 0px";
const FAR = "4000px 0px";
const PASSING_MS = 120; // a page that is only scrolled by is not fetched
const TRIES = 5; // of a picture: half a minute
const wall = document.getElementById("wall");
const more = document.getElementById("more");
const chosen = document.getElementById("chosen");
let next = wall?.dataset.more ?? "";
let loading = null;
let inHand = null; // who scrolls is soon at the next page, too: it is asked for before

const ask = () => fetched(next, "wall", () => bring());

async function load() {
  more.classList.add("coming");
  const part = await awaited(inHand ?? ask());
  inHand = null;
  more.classList.remove("coming");
  if (!part) return false;
  const list = part.querySelector("ul");
  if (list) { wall.append(held(document.adoptNode(list))); far.observe(list); }
  next = part.dataset.more ?? "";
  if (next) inHand = ask().then((coming) => { if (!coming) inHand = null; return coming; });
  more.hidden = !next;
  more.querySelector("a").href = next;
  return Boolean(list);
}

// One at a time; false where there is no more, or it did not come.
async function bring() {
  if (!next) return false;
  loading ??= load().finally(() => { loading = null; });
  const came = await loading;
  if (came) { near.unobserve(more); near.observe(more); } // looks once more whether it is near
  return came;
}

const near = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) bring(); }, { rootMargin: AHEAD });

const close = new WeakSet();
const far = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting, boundingClientRect: at, rootBounds: seen } of entries) {
    if (!isIntersecting && at.bottom > seen.top && at.top < seen.bottom) continue; // beside a window that has no width for a moment
    if (isIntersecting) close.add(target); else close.delete(target);
    if (isIntersecting) setTimeout(() => { if (close.has(target)) fill(target); }, target.childElementCount ? 0 : PASSING_MS);
    else leave(target);
  }
}, { rootMargin: FAR });

function leave(list) {
  if (!list.childElementCount || list.contains(document.activeElement) || list.querySelector(":checked")) return;
  const height = list.getBoundingClientRect().height;
  if (!height) return;
  list.style.height = `${height}px`;
  list.replaceChildren();
}

async function fill(list) {
  if (list.childElementCount || list.dataset.coming) return;
  list.dataset.coming = "1";
  const part = await awaited(fetched(list.dataset.at, "wall", () => fill(list)));
  delete list.dataset.coming;
  if (!part || list.childElementCount) return;
  list.replaceChildren(...held(part.querySelector("ul") ?? part).children);
  list.style.height = "";
}

// The tile beside this one, whatever has to come for it first; null at the ends.
async function beside(tile, by) {
  const within = by > 0 ? tile.nextElementSibling : tile.previousElementSibling;
  if (within) return within;
  let list = by > 0 ? tile.parentElement.nextElementSibling : tile.parentElement.previousElementSibling;
  if (!list && by > 0 && await bring()) list = tile.parentElement.nextElementSibling;
  if (!list) return null;
  await fill(list);
  return by > 0 ? list.firstElementChild : list.lastElementChild;
}

async function go(tile, by) {
  let to = tile;
  for (let steps = Math.abs(by); steps && to; steps -= 1) to = await beside(to, Math.sign(by));
  return to;
}

view(async (tile, by) => { // the next that is not deleted
  let to = await beside(tile, by);
  while (to && !to.querySelector("a[data-file]")) to = await beside(to, by);
  return to;
});

function columns(tile) {
  return getComputedStyle(tile.parentElement).gridTemplateColumns.split(" ").length;
}

function count() {
  const many = wall.querySelectorAll(".choose :checked").length;
  chosen.querySelector("output").textContent = many ? _("%(n)s chosen", { n: many }) : "";
  chosen.querySelector("[value=compare]").disabled = many !== 2;
}

if (wall) {
  for (const list of wall.children) far.observe(list);
  near.observe(more);
  count();

  wall.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-file]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (chosen.querySelector("output").textContent) { // choosing: a tap chooses, too
      link.closest(".picture").querySelector(".choose input").click();
      return;
    }
    open(link.closest(".picture"));
  });

  wall.addEventListener("change", count);
  chosen.addEventListener("reset", () => setTimeout(count));

  wall.addEventListener("keydown", async (event) => {
    const tile = event.target.closest?.(".picture");
    if (!tile || event.altKey || event.ctrlKey || event.metaKey) return;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(tile), ArrowUp: -columns(tile) }[event.key];
    const press = { f: "[formaction$='/favourite']", x: ".choose input", Delete: "[formaction$='/delete']" }[event.key];
    if (!by && !press) return;
    event.preventDefault();
    if (press) { tile.querySelector(press)?.click(); return; }
    const to = await go(tile, by);
    to?.querySelector("a, button")?.focus({ preventScroll: true });
    to?.scrollIntoView({ block: "nearest" });
  });

  wall.addEventListener("error", (event) => { // a line that broke, or too many at once: later, and ever later
    const image = event.target;
    const tries = Number(image.dataset.again ?? 0);
    if (image.tagName !== "IMG" || image.dataset.src || tries >= TRIES) return;
    image.dataset.again = String(tries + 1);
    setTimeout(() => { if (image.isConnected) image.src = image.src; }, 1000 * 2 ** tries);
  }, true);

  more.querySelector("a").addEventListener("click", (event) => { event.preventDefault(); bring(); });
}

// Forms that change tiles are sent in the page; those that lead elsewhere go their way.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  const button = event.submitter;
  const which = form.getAttribute("id"); // form.id is the field of that name
  const inPlace = which === "one" || which === "undo" || (which === "chosen" && button?.value === "delete");
  if (!inPlace) return;
  event.preventDefault();
  if (which === "chosen" && !chosen.querySelector("output").textContent) { say(_("Choose some pictures first.")); return; }
  await change(form, button);
  count();
});
