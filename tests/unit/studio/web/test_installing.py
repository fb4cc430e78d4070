"""What browsers ask of an app that can be installed, as this studio serves it; needs no database."""

import re
from io import BytesIO
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from portraitist.studio import app
from portraitist.studio.config import StudioSettings
from portraitist.studio.web import static_files
from portraitist.studio.web.static_files import STATIC

pytestmark = pytest.mark.anyio
WORKER = (STATIC / "sw.js").read_text("utf-8")


@pytest.fixture
def http(tmp_path: Path) -> httpx2.AsyncClient:
    """A studio of which nothing runs but the web app."""
    settings = StudioSettings(
        portraitist_home=tmp_path,
        database_url="postgresql://nobody@127.0.0.1:1/nothing",
        replicate_base_url="http://127.0.0.1:1",
        replicate_api_token="r8_of-nobody",
        replicate_username="nobody",
        instance_token="x" * 32,
        secret_key="x" * 32,
    )
    transport = httpx2.ASGITransport(app=app.create(settings))
    return httpx2.AsyncClient(transport=transport, base_url="http://studio")


async def test_the_manifest_has_what_browsers_ask_for(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    told = answer.json()
    assert {"name", "short_name", "id"} <= set(told)
    assert (told["start_url"], told["scope"], told["display"]) == ("/", "/", "standalone")
    purposes = {icon["purpose"] for icon in told["icons"]}
    assert purposes == {"any", "maskable"}
    for icon in told["icons"]:
        drawn = await http.get(icon["src"])
        assert (drawn.status_code, drawn.headers["content-type"]) == (200, icon["type"])
        if icon["type"] == "image/png":
            assert "x".join(map(str, Image.open(BytesIO(drawn.content)).size)) == icon["sizes"]
    german = (await http.get("/manifest.webmanifest", headers={"Accept-Language": "de"})).json()
    assert (german["lang"], german["description"]) == ("de", "Ein KI-Fotostudio")


async def test_the_worker_is_a_script_at_the_root_and_the_policy_lets_it_and_the_manifest_in(
    http: httpx2.AsyncClient,
) -> None:
    answer = await http.get("/sw.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    policy = answer.headers["content-security-policy"]
    assert "worker-src 'self'" in policy
    assert "manifest-src 'self'" in policy
    assert answer.text == WORKER


async def test_every_page_names_the_manifest_and_the_version_of_its_files(http: httpx2.AsyncClient) -> None:
    page = (await http.get("/offline")).text
    assert '<link rel="manifest" href="/manifest.webmanifest">' in page
    assert f'<meta name="version" content="{static_files.version()}">' in page
    assert "register(`/sw.js?v=${version}`)" in (STATIC / "studio.js").read_text("utf-8")


async def test_what_the_worker_keeps_at_first_is_the_same_for_everybody(http: httpx2.AsyncClient) -> None:
    [listed] = re.findall(r"addAll\(\[(.*?)\]\)", WORKER)
    named = dict(re.findall(r'const (\w+) = "([^"]+)";', WORKER))
    for each in listed.split(", "):
        path = named.get(each, each.strip('"'))
        answer = await http.get(path)
        assert answer.status_code == 200, path
        assert "set-cookie" not in answer.headers


def test_the_worker_keeps_nothing_but_that_and_static_files() -> None:
    assert re.findall(r"\.(put|addAll|add)\(", WORKER) == ["addAll", "put"]
    assert 'pathname.startsWith("/static/")) event.respondWith(file(event.request))' in WORKER
    assert "importScripts" not in WORKER
    assert not re.search(r"https?://", WORKER)


async def test_the_words_of_pushes_are_of_every_kind_in_the_browsers_language(
    http: httpx2.AsyncClient,
) -> None:
    told = (await http.get("/notices/words", headers={"Accept-Language": "de"})).json()
    assert told["model_ready"] == {
        "title": "Dein Modell ist fertig",
        "body": "Sag, wo du gern zu sehen wärst.",
    }
    assert set(told) == {
        "model_ready",
        "training_failed",
        "training_parked",
        "photos_announced",
        "previews_announced",
    }
