// What every signed-in page does beyond its plain forms: asks before what can't be undone, and renews what is live.
// Live parts say which news they wait for (data-live); without the stream they are renewed every few seconds.

import "./zone.js";
import { say } from "./asking.js";
import { _ } from "./words.js";

const EVERY_MS = 5000;
const NEWS = ["training", "generation", "notice", "maya", "photoshoot", "reload"];
let stream = null;
let polling = 0;

function renew(kind) {
  for (const part of document.querySelectorAll("[data-live]")) {
    if (kind === "reload" || part.dataset.live.split(" ").includes(kind)) htmx.trigger(part, "moved");
  }
}

function poll(on) {
  if (on && !polling) polling = setInterval(() => renew("reload"), EVERY_MS);
  if (!on) polling = clearInterval(polling) ?? 0;
}

function listen() {
  if (stream || document.hidden || !document.querySelector("[data-live]")) return;
  stream = new EventSource("/api/v1/events");
  for (const kind of NEWS) stream.addEventListener(kind, () => renew(kind));
  stream.addEventListener("open", () => poll(false));
  stream.addEventListener("error", () => {
    poll(true);
    if (stream.readyState === EventSource.CLOSED) stop(); // refused: the poll goes on, and says why if it is refused too
  });
}

function stop() {
  stream?.close();
  stream = null;
}

// A hidden page holds no line open; seen again, it looks at once.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { stop(); poll(false); return; }
  renew("reload");
  listen();
});

document.addEventListener("submit", (event) => {
  const ask = event.target.dataset?.ask;
  if (ask && !confirm(ask)) { event.preventDefault(); event.stopImmediatePropagation(); }
}, true);

document.addEventListener("htmx:after:swap", listen);
const here = new URL(location.href);
if (here.searchParams.has("told")) { // said once
  here.searchParams.delete("told");
  history.replaceState(null, "", here);
}

// What was sent, or asked for again, can be tried once more: nothing of it was done.
function sayAway(event) {
  const source = event.target;
  const again = () => (source.matches?.("form") ? source.requestSubmit() : htmx.trigger(source, "moved"));
  say(_("The studio can't be reached. Nothing was changed."), again);
}

document.addEventListener("htmx:error", sayAway);
// What is no page of ours (a gateway's error, a problem in JSON) does not take the place of what is shown.
document.addEventListener("htmx:before:response", (event) => {
  const { status, headers } = event.detail.ctx.response;
  const meant = headers.has("HX-Retarget") || headers.has("HX-Redirect");
  const page = status < 500 && headers.get("Content-Type")?.startsWith("text/html");
  if (status < 400 || meant || page) return;
  event.preventDefault();
  sayAway(event);
});
listen();

// Keeps the studio's own files and shows what is pushed; a new version of any file is a new worker.
const version = document.querySelector("meta[name=version]")?.content;
if (version) navigator.serviceWorker?.register(`/sw.js?v=${version}`).catch(() => {}); // http on a network has none
