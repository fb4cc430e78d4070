"""The studio as an app on a phone: what browsers ask of one, no line, nothing of members kept, and a push shown."""

import json
from typing import Any

from playwright.sync_api import expect

from tests.browser import steps
from tests.browser.running import Live
from tests.browser.windows import PHONE, Opens, Window
from tests.integration.people import ADMIN

KEPT = """async () => {
  const opened = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
  const kept = await Promise.all(opened.map((cache) => cache.keys()));
  return kept.flat().map((each) => new URL(each.url).pathname);
}"""
SHOWN = """async () => {
  const worker = await navigator.serviceWorker.ready;
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    const all = await worker.getNotifications();
    if (all.length) return all.map(({ title, body, data }) => ({ title, body, data }));
    await new Promise((again) => setTimeout(again, 50));
  }
  return [];
}"""
"""The notifications that are shown, as soon as there are some."""
PUSHED = {"kind": "model_ready", "path": "/pictures"}
READY = """Promise.race([
  navigator.serviceWorker.ready.then(() => true),
  new Promise((late) => setTimeout(() => late(false), 20_000)),
])"""


def worker_ready(window: Window) -> None:
    assert window.page.evaluate(READY), "the service worker was not installed"


def pushed_to(window: Window, message: dict[str, Any]) -> None:
    """The browser's push service hands this to the page's service worker, decrypted."""
    cdp = window.page.context.new_cdp_session(window.page)
    known: list[str] = []
    cdp.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: known.extend(each["registrationId"] for each in told["registrations"]),
    )
    cdp.send("ServiceWorker.enable")
    for _ in range(200):
        if known:
            break
        window.page.wait_for_timeout(50)
    told = {"origin": window.url, "registrationId": known[-1], "data": json.dumps(message)}
    cdp.send("ServiceWorker.deliverPushMessage", told)


def test_it_can_be_installed_says_when_there_is_no_line_and_keeps_nothing_of_a_member(
    live: Live, window: Opens
) -> None:
    anna = window(live.url, **PHONE)
    steps.joins(anna, live.first_link(), ADMIN)
    worker_ready(anna)
    cdp = anna.page.context.new_cdp_session(anna.page)
    manifest = cdp.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert json.loads(manifest["data"])["display"] == "standalone"
    # a private window, which tests use, can't install anything; all else would be said here too
    complaints = cdp.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in complaints] in ([], ["in-incognito"])
    for path in ("/gallery", "/photos", "/notices", "/account"):
        anna.open(path)
    anna.page.reload()
    kept = anna.page.evaluate(KEPT)
    assert "/offline" in kept
    assert {path for path in kept if not path.startswith("/static/")} == {"/offline", "/notices/words"}
    anna.page.context.set_offline(True)
    anna.open("/gallery")
    anna.reads("There is no line to the studio")
    anna.page.context.set_offline(False)
    anna.press("Try again", "link")
    anna.reads("First you read what happens with your photos.")


def test_a_push_is_shown_in_the_members_language_and_only_its_kind_was_sent(
    live: Live, window: Opens
) -> None:
    anna = window(live.url, **(PHONE | {"locale": "de-DE", "permissions": ["notifications"]}))
    anna.open(live.first_link())
    anna.fill("E-Mail-Adresse", ADMIN)
    anna.fill("Neues Passwort", steps.PASSWORD)
    anna.press("Konto anlegen")
    anna.page.wait_for_url("**/")
    worker_ready(anna)
    pushed_to(anna, PUSHED)
    [notice] = anna.page.evaluate(SHOWN)
    assert notice == {
        "title": "Dein Modell ist fertig",
        "body": "Sag, wo du gern zu sehen wärst.",
        "data": {"path": "/pictures"},
    }
    anna.open("/notices")
    switch = anna.named("Mitteilungen in diesem Browser einschalten")
    expect(switch).to_be_visible()
