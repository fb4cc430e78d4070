"""Which of two trees alike is the copy that was left behind: by names, by what is built, by compose files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit.pipeline import Audit

Auditor = Callable[[dict[str, str]], Audit]

NAMES = ("paint", "train", "prices", "members", "queue", "storage", "letters")
COMPOSE = "services:\n  api:\n    build: ./{built}\n"
CONTEXT = "services:\n  api:\n    build:\n      context: '{built}'  # the newer one\n"


def _tree(root: str, grown: str = "") -> dict[str, str]:
    made = {
        f"{root}/{name}_service.py": f"import os\n\n\ndef {name}():\n    return os.getcwd()\n" + grown
        for name in NAMES
    }
    return made | ({f"{root}/new_{number}.py": "value = 1\n" for number in range(3)} if grown else {})


def _aside(audit: Audit) -> set[str]:
    return {each.path.split("/")[0] for each in audit.context.tree.files if each.role == "backup"}


@pytest.mark.parametrize(
    ("compose", "aside"),
    [
        (COMPOSE.format(built="backend"), {"app"}),
        (CONTEXT.format(built="./backend"), {"app"}),
        (COMPOSE.format(built="app"), {"backend"}),
        (COMPOSE.format(built="backend") + "  web:\n    build: ./app\n", set()),
        ("services:\n  api:\n    build: .\n", set()),
        ("services:\n  cache:\n    image: redis\n", set()),
    ],
)
def test_the_copy_is_what_a_compose_file_does_not_build(
    audit_files: Auditor, compose: str, aside: set[str]
) -> None:
    files = _tree("app") | _tree("backend/app", "\n")
    assert _aside(audit_files({**files, "docker-compose.yml": compose})) == aside


def test_other_code_beside_what_is_built_is_no_copy(audit_files: Auditor) -> None:
    other = dict.fromkeys(_tree("app"), "def other():\n    return 1\n" * 3)
    files = {**other, **_tree("backend/app"), "docker-compose.yml": COMPOSE.format(built="backend")}
    assert _aside(audit_files(files)) == set()


def test_a_folder_is_the_legacy_of_one_beside_it_only(audit_files: Auditor) -> None:
    page = {"src/page.ts": "export const page = 1;\n"}
    old = {f"web_legacy/{path}": text for path, text in page.items()}
    assert _aside(audit_files(old)) == set()
    assert _aside(audit_files(old | {f"web/{path}": text for path, text in page.items()})) == {"web_legacy"}


def test_a_copy_that_nothing_builds_or_names_is_set_aside(audit_files: Auditor) -> None:
    files = _tree("review") | _tree("backend") | {"backend/requirements.txt": "flask\n"}
    assert _aside(audit_files(files)) == {"review"}
    assert _aside(audit_files(files | {"review/requirements.txt": "flask\n"})) == set()
    assert (
        _aside(audit_files(files | {"start.py": 'import os\nos.system("python review/paint_service.py")\n'}))
        == set()
    )
