"""The pages that could drift from the program: settings, exit codes, make's targets, the lock of the browser files."""

import json
import re
from pathlib import Path

from portraitist.cli import settings_table
from portraitist.cli.errors import ExitCode
from portraitist.studio.config import StudioSettings

ROOT = Path(__file__).parents[3]


def test_the_page_of_settings_is_what_the_settings_classes_say() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_table.page(), (
        "write it anew (its first lines)"
    )


def test_every_setting_says_what_it_means() -> None:
    rows = re.findall(r"^\| `(\w+)`(?: \*)? \| [^|]+ \| (.*) \|$", settings_table.page(), re.MULTILINE)
    assert {name for name, _ in rows} >= {name.upper() for name in StudioSettings.model_fields}
    assert [name for name, meaning in rows if not meaning] == []


def test_every_exit_code_is_in_the_table() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    assert [code for code in ExitCode if f"| {code.value} |" not in page] == []


def test_the_readme_names_only_targets_that_make_has() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(
        re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    )
    assert {first or second for first, second in named} <= targets
    assert len([target for target in targets if target != "again"]) <= 10


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    broken = []
    for page in pages:
        prose = re.sub(r"(`+).*?\1", "", page.read_text(), flags=re.DOTALL)  # code has brackets of its own
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
            if not target.startswith("http") and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_the_lock_of_the_browser_files_names_no_registry() -> None:
    lock = (ROOT / "frontend" / "package-lock.json").read_text()
    assert "resolved" not in lock
    packages = json.loads(lock)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
