// A wall that is flung past shows colours only: its pictures are asked for where it comes to rest, or is slow enough for
// eyes. Which pages of it are there is wall.js's.

const TOO_FAST = 3; // pixels in a millisecond: a screen in a quarter of a second
const REST_MS = 300;
const PATIENCE_MS = 2000; // where a page is waited for, that is no rest, but for so long
let waiting = 0;
let flying = false;
let some = false;
let was = { y: 0, at: 0 };
let resting = 0;

// Nothing, as large as the picture: its place stays as it is.
function nothing(image) {
  const [width, height] = [image.getAttribute("width"), image.getAttribute("height")];
  return `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"/>`)}`;
}

// What is about to be put on the wall, without its pictures while it flies.
export function held(part) {
  if (!flying) return part;
  for (const image of part.querySelectorAll("img")) {
    image.dataset.src = image.getAttribute("src");
    image.src = nothing(image);
  }
  some = true;
  return part;
}

// Passes on what is waited for.
export async function awaited(page) {
  waiting += 1;
  try {
    return await page;
  } finally {
    waiting -= 1;
  }
}

function rest() {
  if (waiting && performance.now() - was.at < PATIENCE_MS) resting = setTimeout(rest, REST_MS); else land();
}

function land() {
  flying = false;
  if (!some) return;
  some = false;
  for (const image of document.querySelectorAll("img[data-src]")) {
    image.src = image.dataset.src;
    delete image.dataset.src;
  }
}

addEventListener("scroll", () => {
  const now = { y: scrollY, at: performance.now() };
  flying = Math.abs(now.y - was.y) > TOO_FAST * (now.at - was.at);
  was = now;
  clearTimeout(resting);
  if (flying) resting = setTimeout(rest, REST_MS); else land();
}, { passive: true });
