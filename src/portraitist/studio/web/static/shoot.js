// The sheet of a set: arrow keys go from picture to picture as they lie, f and the star make favourites, a tap shows one in
// full, where swipes go on. Without scripts every star is a plain form and every picture leads to its own page.

import { change } from "./asking.js";
import { open, view } from "./viewer.js";

const PICTURES = "#wall .picture:has(a[data-file])";
const FAVOURITE = "[formaction$='/favourite']";
const WAYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

const pictures = () => [...document.querySelectorAll(PICTURES)];

function middle(tile) {
  const { left, top, width, height } = tile.getBoundingClientRect();
  return [left + width / 2, top + height / 2];
}

// The nearest picture that way; what lies aside counts as farther away.
function beside(tile, [right, down]) {
  const [x, y] = middle(tile);
  let nearest = null;
  let least = Infinity;
  for (const other of pictures()) {
    const [dx, dy] = middle(other).map((at, axis) => at - [x, y][axis]);
    const ahead = dx * right + dy * down;
    const aside = Math.abs(dx * down) + Math.abs(dy * right);
    const far = ahead + 3 * aside;
    if (other !== tile && ahead > 4 && far < least) [nearest, least] = [other, far];
  }
  return nearest;
}

view(async (tile, by) => {
  const all = pictures();
  return all[all.findIndex((each) => each.id === tile.id) + by] ?? null;
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("#wall a[data-file]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  open(link.closest(".picture"));
});

document.addEventListener("keydown", (event) => {
  const tile = event.target.closest?.("#wall .picture");
  if (!tile || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "f") { event.preventDefault(); tile.querySelector(FAVOURITE)?.click(); }
  if (!WAYS[event.key]) return;
  event.preventDefault();
  const to = beside(tile, WAYS[event.key]);
  to?.querySelector("a")?.focus({ preventScroll: true });
  to?.scrollIntoView({ block: "nearest" });
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "one") return;
  event.preventDefault();
  change(event.target, event.submitter);
});
