"""The drawn life of trainings and generations is the life in the code and in the database."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import pytest

from portraitist.studio.generation import domain as generation
from portraitist.studio.training import domain as training

ROOT = Path(__file__).parents[3]
MIGRATION = (ROOT / "src/portraitist/studio/migrations/0001_members.sql").read_text()


def drawn(title: str) -> set[tuple[str, str]]:
    text = (ROOT / "docs/lifecycles.md").read_text().split(f"## {title}")[1].split("```")[1]
    return {(a, b) for a, b in re.findall(r"(\w+) --> (\w+)", text)}


def coded(transitions: Mapping[StrEnum, frozenset[StrEnum]]) -> set[tuple[str, str]]:
    return {(str(a), str(b)) for a, targets in transitions.items() for b in targets if a != b}


def stored(table: str) -> set[str]:
    text = MIGRATION.split(f"create table {table} (")[1]
    statuses = re.search(r"check \(status in \((.*?)\)\)", text, re.DOTALL)
    assert statuses is not None
    return set(re.findall(r"'(\w+)'", statuses[1]))


@pytest.mark.parametrize(
    ("title", "table", "statuses", "transitions"),
    [
        ("Training", "trainings", training.Status, training.TRANSITIONS),
        ("Generation", "generation_trackers", generation.Status, generation.TRANSITIONS),
    ],
)
def test_diagram_code_and_database_agree(
    title: str, table: str, statuses: type[StrEnum], transitions: Mapping[StrEnum, frozenset[StrEnum]]
) -> None:
    assert drawn(title) == coded(transitions)
    assert stored(table) == {str(status) for status in statuses}


def test_every_status_that_is_not_an_end_leads_to_one() -> None:
    for transitions, ended in (
        (training.TRANSITIONS, training.ENDED),
        (generation.TRANSITIONS, generation.ENDED),
    ):
        for status in transitions:
            reached, before = {status}, set[StrEnum]()
            while reached != before:
                before = set(reached)
                reached |= {target for known in before for target in transitions[known]}  # type: ignore[index]
            assert reached & ended, status
