// Switches Web Push on and off in this browser: asks the browser, then hands the studio what it gave.
// It ends with the session; whoever signs in next in this browser switches it on for themselves.
import { _ } from "./words.js";

const place = document.getElementById("push");
const button = document.getElementById("push-switch");
const said = document.getElementById("push-problem");

async function put(method, body) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": place.dataset.csrf };
  const answer = await fetch("/api/v1/notices/push", { method, headers, body: body && JSON.stringify(body) });
  if (answer.ok) return;
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.detail ?? _("The studio answered %(status)s.", { status: answer.status }));
}

function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (each) => each.charCodeAt(0));
}

async function switchOn() {
  if (await Notification.requestPermission() !== "granted") throw new Error(_("The browser does not allow it. Its settings for this page can."));
  const worker = await navigator.serviceWorker.ready;
  await (await worker.pushManager.getSubscription())?.unsubscribe(); // perhaps somebody else's, or of another key
  const wanted = { userVisibleOnly: true, applicationServerKey: bytes(place.dataset.key) };
  await put("PUT", (await worker.pushManager.subscribe(wanted)).toJSON());
}

async function switchOff() {
  await put("DELETE");
  const worker = await navigator.serviceWorker.ready;
  await (await worker.pushManager.getSubscription())?.unsubscribe();
}

function show(on) {
  button.setAttribute("aria-pressed", String(on));
  button.textContent = on ? _("Switch push off in this browser") : _("Switch push on in this browser");
}

if (place && "serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis) {
  place.hidden = false;
  document.getElementById("push-absent").hidden = true;
  button.addEventListener("click", async () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.disabled = true;
    said.hidden = true;
    try {
      await (on ? switchOn() : switchOff());
      show(on);
    } catch (problem) {
      said.textContent = problem.name === "AbortError" ? _("The browser's push service can't be reached. Try again later.") : problem.message;
      said.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
}
