// The status page: asks for the instance token, then shows /api/v1/status every few seconds.
// The token lives in this tab's session storage only. Everything shown is set as text, never as markup.
"use strict";

const EVERY_MS = 3000;
const KEY = "portraitist-instance-token";
const $ = (id) => document.getElementById(id);

function make(tag, text, className) {
  const node = document.createElement(tag);
  node.textContent = text;
  if (className) node.className = className;
  return node;
}

function part(name, ok, detail) {
  return [make("dt", name), make("dd", ok ? "works" : detail || "is away", ok ? "good" : "bad")];
}

function counts(title, byStatus) {
  const table = document.createElement("table");
  table.append(make("caption", title));
  const rows = Object.entries(byStatus).sort();
  for (const [status, n] of rows.length ? rows : [["none yet", 0]]) {
    const row = table.insertRow();
    const head = make("th", status.replaceAll("_", " "));
    head.scope = "row";
    row.append(head, make("td", String(n)));
  }
  return table;
}

function show(status) {
  const engine = status.provider;
  const about = [make("h2", engine.engine), make("p", `Draws at ${engine.picture_size.replace("x", " × ")} pixels.`)];
  if (engine.kind === "engine") about.push(make("p", "Small on purpose: it runs on this machine. Full size needs a FLUX engine or the cloud.", "hint"));
  about.push(make("p", `Safety checker: ${engine.safety_checker}`, "hint"));
  $("engine").replaceChildren(...about);
  $("parts").replaceChildren(
    ...part("Engine", engine.reachable, engine.detail),
    ...part("Database", status.database.ok, status.database.detail),
    ...part("Storage", status.storage.ok, status.storage.detail),
    ...part("Worker", status.worker.ok, "shows no sign of life"),
    make("dt", "Version"), make("dd", status.version),
  );
  $("work").replaceChildren(counts("Trainings", status.trainings), counts("Generations", status.generations));
  $("checked").textContent = `Last looked at ${new Date().toLocaleTimeString()}.`;
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

function askForToken(text) {
  sessionStorage.removeItem(KEY);
  $("door").hidden = false;
  $("status").hidden = true;
  problem(text);
}

async function look() {
  const token = sessionStorage.getItem(KEY);
  if (!token) return askForToken("");
  try {
    const answer = await fetch("/api/v1/status", { headers: { Authorization: `Bearer ${token}` } });
    if (answer.status === 401) return askForToken("That token is not valid. `portraitist up` prints the right one.");
    show(await answer.json());
    $("door").hidden = true;
    $("status").hidden = false;
    problem("");
  } catch {
    problem("The studio does not answer. Trying again…");
  }
  setTimeout(look, EVERY_MS);
}

$("door").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("token").value.trim());
  look();
});
look();
