// Says what happened, and sends what a button or form says: the answer's tiles and words take their places on the page.
// What did not go through can be tried again by the button beside the words.

import { _ } from "./words.js";

// Looked up each time: an answer of the studio's may have put another in its place.
const told = (...parts) => document.getElementById("toasts").replaceChildren(...parts);

export function say(text, again = null) {
  const said = document.createElement("p");
  said.className = again ? "toast bad" : "toast";
  said.setAttribute("role", again ? "alert" : "status");
  said.textContent = text;
  if (again) {
    const button = document.createElement("button");
    button.className = "button";
    button.textContent = _("Try again");
    button.addEventListener("click", () => { said.remove(); again(); });
    said.append(" ", button);
  }
  told(said);
}

const TOO_MANY = 429;
const PATIENCE = 3; // times that what is only looked at is asked for again, when the studio says it is too much at once

const pause = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds); });

async function asked(address, init, tries = 0) {
  const answer = await fetch(address, { ...init, headers: { "HX-Request": "true", ...init.headers } });
  if (answer.status !== TOO_MANY || init.method || tries >= PATIENCE) return answer;
  await pause(Math.min(Number(answer.headers.get("Retry-After")) || 1, 10));
  return asked(address, init, tries + 1);
}

// The answer's page; null where the member was sent to sign in, or nothing came.
async function answered(address, init, again) {
  try {
    const answer = await asked(address, init);
    const elsewhere = answer.headers.get("HX-Redirect");
    if (elsewhere) { location.assign(elsewhere); return null; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.ok) return page;
    const toast = page.querySelector("#toasts > *");
    if (toast) told(document.adoptNode(toast));
    else say(_("The studio answered %(status)s. Nothing was changed.", { status: answer.status }), again);
  } catch {
    say(_("The studio can't be reached. Nothing was changed."), again);
  }
  return null;
}

// A part of a page, by its id.
export async function fetched(address, id, again) {
  const page = await answered(address, {}, again);
  return page?.getElementById(id) ?? null;
}

export async function change(form, button) {
  const address = button?.hasAttribute("formaction") ? button.formAction : form.action; // else it is the page's own
  const body = new URLSearchParams(new FormData(form, button)); // a plain form, in which the studio looks for the session's token
  const page = await answered(address, { method: "POST", body }, () => change(form, button));
  if (!page) return false;
  const held = document.activeElement?.closest(".picture")?.id;
  for (const tile of page.querySelectorAll(".picture[id]")) document.getElementById(tile.id)?.replaceWith(document.adoptNode(tile));
  const toast = page.querySelector("#toasts > *");
  if (toast) told(document.adoptNode(toast));
  if (held) document.getElementById(held)?.querySelector("a, button")?.focus();
  return true;
}
