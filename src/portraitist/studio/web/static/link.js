// The page behind a one-time link, at /join and /reset: makes an account, or sets a new password.
// The secret stands behind the #: it is taken out of the address at once, sent to this studio only, and kept nowhere.
import "./zone.js";
import { _ } from "./words.js";

const $ = (id) => document.getElementById(id);
const joining = location.pathname === "/join";
const secret = location.hash.slice(1);

function tell(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

async function send(event) {
  event.preventDefault();
  tell("problem", "");
  $("go").disabled = true;
  const email = $("email").value, password = $("password").value;
  const [path, body] = joining
    ? ["/api/v1/accounts", { email, password, link: secret }]
    : ["/api/v1/password/reset", { new: password, link: secret }];
  try {
    const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      tell("problem", [problem.detail || _("The studio answered %(status)s.", { status: answer.status }), problem.next_step].filter(Boolean).join(" "));
      return;
    }
    $("door").hidden = true;
    if (joining && await signedIn(email, password)) location.assign("/");
    else location.assign("/sign-in?told=" + (joining ? "account" : "password"));
  } catch {
    tell("problem", _("The studio can't be reached. Try again."));
  } finally {
    $("go").disabled = false;
  }
}

function signedIn(email, password) {
  const body = JSON.stringify({ email, password });
  const asked = fetch("/api/v1/session", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  return asked.then((answer) => answer.ok, () => false);
}

function look() {
  const shown = $("password").type === "password";
  $("password").type = shown ? "text" : "password";
  $("look").textContent = shown ? _("Hide") : _("Show");
  $("look").setAttribute("aria-pressed", String(shown));
}

history.replaceState(null, "", location.pathname);
document.title = `${joining ? _("Join the studio") : _("A new password")} · Portraitist`;
$("title").textContent = joining ? _("Join the studio") : _("A new password");
$("go").textContent = joining ? _("Make the account") : _("Set the password");
$("who").hidden = !joining;
$("email").required = joining;
if (secret) $("door").hidden = false;
else tell("problem", _("This link is not whole: copy it with everything behind the #."));
$("door").addEventListener("submit", send);
$("look").addEventListener("click", look);
