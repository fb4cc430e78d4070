// The sign-in page's other ways: a passkey, alone or beside address and password where the account wants both, and the
// operator's sign-in provider. Each button is there where the studio has that way; the form works without any script.

import "./zone.js";
import { _ } from "./words.js";

const said = document.getElementById("passkey-problem");
const form = document.querySelector("form[action='/sign-in']");

async function post(path, body) {
  const answer = await fetch(`/api/v1${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail ?? _("The studio answered %(status)s.", { status: answer.status }));
  return told;
}

async function enter() {
  const { options } = await post("/session/passkey/options", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const passkey = (await navigator.credentials.get({ publicKey })).toJSON();
  const { email, password } = Object.fromEntries(new FormData(form));
  if (email && password) await post("/session", { email, password, passkey });
  else await post("/session/passkey", { passkey });
  location.assign(form.elements.after.value);
}

async function toProvider() {
  location.assign((await post("/session/provider/options", {})).url);
}

function way(button, act) {
  if (!button) return;
  button.hidden = false;
  button.parentElement.hidden = false;
  button.addEventListener("click", () => {
    said.hidden = true;
    act().catch((problem) => {
      said.textContent = problem.name === "NotAllowedError" ? _("The passkey was not used.") : problem.message;
      said.hidden = false;
    });
  });
}

if (globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON) way(document.getElementById("passkey"), enter);
way(document.getElementById("provider"), toProvider);
