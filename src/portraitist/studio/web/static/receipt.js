// A receipt's address carries its token behind the #, which browsers send nowhere: this opens the receipt with it,
// and looks again while the erasure goes on. The address stays as it is, so that it can be kept as a bookmark.

const EVERY_MS = 5000;
const token = location.hash.slice(1);

async function look() {
  const form = document.getElementById("open-receipt");
  form.elements.token.value = token;
  const answer = await fetch("/receipt", { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById("receipt");
  if (!found) return;
  document.getElementById("receipt").replaceWith(found);
  document.title = page.title;
  if ("unfinished" in found.dataset) setTimeout(again, EVERY_MS);
}

function again() {
  if (document.hidden) document.addEventListener("visibilitychange", again, { once: true });
  else look().catch(() => setTimeout(again, EVERY_MS)); // the line is broken: what is shown stays
}

if (token) again();
