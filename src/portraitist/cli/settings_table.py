"""docs/settings.md, made of the settings classes: every environment variable, its default and its meaning.

`python -m portraitist.cli.settings_table > docs/settings.md` writes it; a test compares the two.
"""

import sys
from collections.abc import Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from portraitist.engine.config import PREFIX
from portraitist.engine.config import Settings as EngineSettings
from portraitist.studio import startup
from portraitist.studio.config import StudioSettings

TESTS_ONLY = ("portraitist_failpoints", "portraitist_testing")
COMMAND_LINE = (
    ("PORTRAITIST_HOME", "`~/.local/share/portraitist`", "The one data directory."),
    ("PORTRAITIST_STATE", "`/var/lib/portraitist`", "Where root's embedded PostgreSQL keeps its data."),
    ("PORTRAITIST_ASSETS", "`frontend/node_modules`", "The browser files of `/docs`."),
    ("DATABASE_OWNER_URL", "embedded", "The database as its owner; only `migrate` and `up` use it."),
)
FILLED_IN = frozenset(
    {"database_url", "replicate_api_token", "replicate_username", "instance_token", "secret_key"}
)
INTRODUCTION = """\
# Settings

Every environment variable that a part reads, made of the settings classes by
`python -m portraitist.cli.settings_table > docs/settings.md`; a test compares the two. A part that meets a variable
that is missing, contradictory or unsafe does not start, and names each. So does it with one that begins with
`PORTRAITIST_` or `REPLICATE_` and is none of these. An empty variable counts as not set.

A secret (marked *) of a web or worker that is started alone may be in a file: `NAME_FILE` names it. What an admin
may change while the studio runs is under `/api/v1/admin/settings`; a variable of that name overrides and locks it.
The locked parameters of trainings and generations are no settings.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    parts.append(_table("The command line and `up`", COMMAND_LINE))
    parts.append(_table("Web and worker", _rows(StudioSettings, "", {"portraitist_home", *TESTS_ONLY})))
    parts.append(_table("Engine ([engine.md](engine.md))", _rows(EngineSettings, PREFIX, set())))
    parts.append(
        _table("Tests only", _rows(StudioSettings, "", set(StudioSettings.model_fields) - {*TESTS_ONLY}))
    )
    return "\n".join(parts)


def _table(title: str, rows: "Iterator[tuple[str, str, str]] | tuple[tuple[str, str, str], ...]") -> str:
    lines = [f"| `{name}`{_star(name)} | {default} | {meaning} |" for name, default, meaning in rows]
    return "\n".join((f"## {title}", "", "| variable | default | meaning |", "|---|---|---|", *lines, ""))


def _star(name: str) -> str:
    return " *" if name in startup.secrets() else ""


def _rows(settings: type[BaseSettings], prefix: str, but: set[str]) -> Iterator[tuple[str, str, str]]:
    for name, field in settings.model_fields.items():
        if name not in but:
            yield prefix + name.upper(), _default(name, field), " ".join((field.description or "").split())


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "built in"
    if field.default is PydanticUndefined:
        return "filled in by `up`" if name in FILLED_IN else "needed"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if value is None or value == "":
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(page())
