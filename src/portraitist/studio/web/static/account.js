// What the account's pages and the question "is it still you?" do beyond their plain forms: passkeys, the way to a
// sign-in provider, copying what is shown once. Every address it goes to is the studio's own, but the provider's.

import { _ } from "./words.js";

const $ = (id) => document.getElementById(id);
const meta = document.querySelector("meta[name=csrf]");
const hasPasskeys = Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

async function call(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": meta.content };
  const answer = await fetch(`/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(told.detail ?? _("The studio answered %(status)s.", { status: answer.status })), { code: told.code });
  return told;
}

function tell(id, problem) {
  if (problem.code === "fresh_sign_in_needed") return location.assign(`/account/prove?after=${encodeURIComponent(location.pathname)}`);
  $(id).textContent = problem.name === "NotAllowedError" ? _("The passkey was not used.") : problem.message;
  $(id).hidden = false;
}

function when(element, event, problem, act) {
  element?.addEventListener(event, (happened) => {
    happened.preventDefault();
    $(problem).hidden = true;
    act().catch((reason) => tell(problem, reason));
  });
}

async function register() {
  const { options } = await call("/passkeys/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const passkey = (await navigator.credentials.create({ publicKey })).toJSON();
  await call("/passkeys", { name: $("passkey_name").value.trim() || _("Passkey"), passkey });
  location.assign("/account/sign-in?told=passkey-added");
}

async function prove() {
  const { options } = await call("/proof/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const passkey = (await navigator.credentials.get({ publicKey })).toJSON();
  const { csrf_token: csrf } = await call("/proof", { passkey });
  const form = $("prove");
  form.elements.csrf.value = csrf;
  if (form.elements.password) form.elements.password.value = "";
  form.submit(); // what was being done goes on
}

// The mailed link was opened in another tab, and gave the session another secret: this page's token is of the old one.
async function mailed() {
  const form = $("mailed");
  form.elements.csrf.value = (await (await fetch("/api/v1/session")).json()).csrf_token ?? "";
  form.submit();
}

function copies(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const from = $(button.dataset.copy);
    const lines = [...from.querySelectorAll("code")].map((each) => each.textContent);
    await navigator.clipboard.writeText(lines.join("\n") || from.textContent);
    button.textContent = _("Copied");
  });
}

if (hasPasskeys) {
  if ($("new-passkey")) $("new-passkey").hidden = !($("no-passkeys").hidden = true);
  if ($("prove-by-passkey")) $("prove-by-passkey").hidden = false;
}
when($("new-passkey"), "submit", "passkey-problem", register);
when($("prove-by-passkey"), "click", "passkey-problem", prove);
when($("mailed"), "submit", "passkey-problem", mailed);
for (const button of document.querySelectorAll("[data-provider]")) {
  button.hidden = false;
  when(button, "click", "provider-problem", async () => location.assign((await call(button.dataset.provider)).url));
}
if (navigator.clipboard) document.querySelectorAll("[data-copy]").forEach(copies);
$("go-on")?.requestSubmit();
