// The pages behind mailed links (/enter, /prove) and where a sign-in provider sends back to (/oidc).
// What stands in the address is taken out of it at once, sent to this studio only, and kept nowhere.
import "./zone.js";
import { _ } from "./words.js";

const $ = (id) => document.getElementById(id);
const page = location.pathname.slice(1);
const secret = location.hash.slice(1);
const query = new URLSearchParams(location.search);
const back = { code: query.get("code"), state: query.get("state"), issuer: query.get("iss") };
const purpose = page === "oidc" ? (back.state || "").split(".")[0] : page;
const TITLES = { enter: _("Sign in"), prove: _("It is you"), link: _("Link the sign-in provider") };
const DONE = { enter: _("You are signed in."), prove: _("Thank you. Go on where you were."), link: _("Linked.") };

function tell(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

async function call(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (purpose !== "enter" && method !== "GET") headers["X-CSRF-Token"] = (await call("GET", "/session")).csrf_token;
  const answer = await fetch(`/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(told.detail || _("The studio answered %(status)s.", { status: answer.status })), told);
  return told;
}

async function passkey() {
  const { options } = await call("POST", "/session/passkey/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await navigator.credentials.get({ publicKey })).toJSON();
}

function wanted() {
  if (page === "oidc") {
    return { enter: ["/session/provider", back], link: ["/identities", back], prove: ["/proof", { provider: back }] }[purpose];
  }
  return { enter: ["/session/link", { link: secret }], prove: ["/proof", { link: secret }] }[purpose];
}

async function send(event) {
  event.preventDefault();
  tell("problem", "");
  $("go").disabled = true;
  try {
    const [path, body] = wanted();
    if (!$("beside").hidden) {
      if ($("code").value) body.recovery_code = $("code").value;
      else body.passkey = await passkey();
    }
    await call("POST", path, body);
    $("door").hidden = true;
    tell("done", DONE[purpose]);
    if (purpose === "enter") location.assign("/");
    if (purpose === "link") location.assign("/account/sign-in?told=provider-linked");
  } catch (problem) {
    if (problem.code === "passkey_needed") $("beside").hidden = false;
    tell("problem", [problem.message, problem.next_step].filter(Boolean).join(" "));
  } finally {
    $("go").disabled = false;
  }
}

history.replaceState(null, "", location.pathname);
document.title = `${TITLES[purpose] || _("Sign in")} · Portraitist`;
$("title").textContent = TITLES[purpose] || _("Sign in");
$("go").textContent = TITLES[purpose] || _("Go on");
if (query.get("error")) tell("problem", _("The sign-in provider has not let you in. Begin again."));
else if (!wanted() || !(secret || (back.code && back.state))) tell("problem", _("This link is not whole: copy it with everything behind the #."));
else $("door").hidden = false;
$("door").addEventListener("submit", send);
