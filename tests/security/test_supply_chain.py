"""What is installed is listed, and looking it up for vulnerabilities is never green by silence."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from tests.fakes.serving import served

CI = Path(__file__).parents[2] / ".ci"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, CI / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bill_of_materials_lists_what_is_installed_and_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, CI / "sbom.py", tmp_path / "sbom.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    bill = json.loads((tmp_path / "sbom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"


def test_a_bill_that_lacks_or_invents_a_package_is_refused() -> None:
    document = json.dumps(
        {"components": [{"name": "Kept", "version": "1"}, {"name": "gone", "version": "2"}]}
    )
    assert script("sbom").difference(document, {("kept", "1"), ("new", "3")}) == [
        "not listed: new 3",
        "not installed: gone 2",
    ]


def audit(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, CI / "audit_dependencies.py", *options], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_without_its_service_the_audit_says_not_checked_and_fails() -> None:
    code, told = audit("--osv-url", "http://127.0.0.1:9/v1/query")
    assert code == 1
    packages = script("audit_dependencies").installed()
    assert told.count("not checked: ") == len(packages)
    assert "the service gave no answer" in told


@pytest.mark.parametrize(("vulnerable", "code"), [("", 0), ("jinja2", 1)])
def test_the_audit_is_green_only_if_every_package_was_looked_up_and_is_well(
    vulnerable: str, code: int
) -> None:
    asked: set[str] = set()

    async def osv(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).json()
        asked.add(body["package"]["name"])
        known = {"id": "PYSEC-0000-1", "affected": [], "aliases": [], "summary": "planted"}
        found = {"vulns": [known]} if body["package"]["name"] == vulnerable else {}
        await JSONResponse(found)(scope, receive, send)

    with served(osv) as url:
        ended, told = audit("--osv-url", f"{url}/v1/query")
    assert (ended, "0 not checked" in told) == (code, True), told
    assert asked == set(script("audit_dependencies").installed())
    assert ("vulnerable: jinja2" in told) == bool(vulnerable)


def test_a_package_that_the_service_does_not_know_is_not_checked() -> None:
    answers = [
        {"name": "known", "version": "1", "vulns": []},
        {"name": "unknown", "skip_reason": "not found on PyPI"},
        {"name": "other", "version": "9", "vulns": []},
    ]
    packages = {"known": "1", "unknown": "2", "other": "3", "silent": "4"}
    assert script("audit_dependencies").verdict(packages, answers) == (
        [],
        ["not checked: unknown 2 (not found on PyPI)", "not checked: other 3", "not checked: silent 4"],
    )
