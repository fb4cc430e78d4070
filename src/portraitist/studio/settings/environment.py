"""What the environment has decided, as an admin reads it: every variable, its value and whether it was set.

Secrets and addresses with passwords in them are never told, only that they are there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from portraitist.studio.config import StudioSettings

HIDDEN = "set"
NOT_TOLD = frozenset({"portraitist_failpoints", "portraitist_testing"})
"""Of tests only."""


@dataclass(frozen=True)
class Variable:
    """One variable of the environment. `value`: what holds; of a secret that it is set. Empty: nothing."""

    name: str
    value: str
    given: bool
    meaning: str


def variables(settings: StudioSettings) -> Iterator[Variable]:
    """Every variable that web and worker read, in the order of docs/settings.md."""
    for name, field in type(settings).model_fields.items():
        if name not in NOT_TOLD:
            value = getattr(settings, name)
            given = name in settings.model_fields_set
            yield Variable(name.upper(), _told(value), given, field.description or "")


def _told(value: object) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return HIDDEN if urlsplit(text).password else text
