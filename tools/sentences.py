"""The sentences in code that people read without `_()`: of errors, verdicts, next steps and tables. By syntax alone.

Slices know no language: they say English, and what shows it to a member translates it (`locale.words.said`). So the
catalogs need those sentences, f-strings with a place for each value.
"""

import ast
import re
from collections.abc import Iterator

SENTENCE = re.compile(r"(?!.*/api/)([A-Z“]|%\()\S*\s.*[.?!]”?\s*", re.DOTALL)
"""Words that end as sentences do; the steps that name an address are for programs."""
WORDS = re.compile(r"(?!.*/api/)([A-Z“]|%\(\w+\)s.* .*[a-z]).*", re.DOTALL)
CODE = re.compile(r"[a-z][a-z_]{2,}")
SILENT = (
    "config.py",
    "codes.py",
    "openapi.py",
    "startup.py",
    "architecture.py",
    "input_schema.py",
    "db.py",
    "roles.py",
    "prompting/craft.py",
    "privacy/export.py",
    "photoshoot/reading.py",
    "maya/model.py",
    "maya/agent.py",
    "maya/endpoints.py",
)
"""Read by operators at start, or by programs."""
SILENT_FOLDERS = ("migrations", "provider", "locale", "provenance", "webhooks")
LOUD = ("provider/port.py",)
NOT_FOR_PEOPLE = frozenset(
    {
        "Field",
        "Header",
        "Query",
        "Code",
        "Path",
        "Cookie",
        "Body",
        "Security",
        "example",
        "warning",
        "error",
        "info",
        "SettingsInvalid",
        "_",
        "ngettext",
        "pgettext",
    }
)
"""Calls whose texts are a log's, the API's description's, or an operator's; and those that say it themselves."""


def of(source: str, file: str) -> Iterator[str]:
    """The messages in a module; `file` is its path in the studio."""
    if file not in LOUD and (file in SILENT or file.split("/", maxsplit=1)[0] in SILENT_FOLDERS):
        return
    yield from _Reader(is_page=file.startswith("web/") or file == "http.py").read(ast.parse(source))


class _Reader:
    """Walks a module and knows in which places a text is for people. `is_page`: tables there are for people too."""

    def __init__(self, *, is_page: bool) -> None:
        self._is_page = is_page

    def read(self, tree: ast.Module) -> Iterator[str]:
        if self._is_page:
            yield from self._tables(tree)
        for node in ast.walk(tree):
            match node:
                case ast.Call():
                    yield from self._call(node)
                case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.Return(value=value) if value:
                    yield from _sentences(value)
                case ast.Dict(values=values):
                    for value in values:
                        yield from _sentences(value)

    def _tables(self, tree: ast.Module) -> Iterator[str]:
        for node in tree.body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(value, ast.Dict):
                for each in value.values:
                    if (message := _message(each)) and WORDS.fullmatch(message):
                        yield message

    def _call(self, call: ast.Call) -> Iterator[str]:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in NOT_FOR_PEOPLE:
            return
        if name == "Step":
            yield from (each for part in call.args if (each := _message(part)) and WORDS.fullmatch(each))
        for keyword in call.keywords:
            if keyword.arg == "next_step":
                yield from _texts(keyword.value)
        after_code = False
        for part in call.args:
            yield from _texts(part) if after_code else _sentences(part)
            after_code = isinstance(part, ast.Constant) and bool(CODE.fullmatch(str(part.value)))


def _sentences(node: ast.expr) -> Iterator[str]:
    yield from (each for each in _texts(node) if SENTENCE.fullmatch(each))


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif (message := _message(node)) and WORDS.fullmatch(message):
        yield message


def _message(node: ast.expr) -> str | None:
    """The text with `%(name)s` for each value; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("%", "%%") if "%" in node.value else node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    places: dict[str, str] = {}
    parts = [_place(part, places) for part in node.values]
    return "".join(parts)


def _place(part: ast.expr, places: dict[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value).replace("%", "%%")
    assert isinstance(part, ast.FormattedValue)
    value = ast.unparse(part.value)
    if value not in places:
        words = re.findall(r"[A-Za-z_]+", re.sub(r"\[.*|'.*?'", "", value))
        name = (words[-1] if words else "value").lower().strip("_")
        places[value] = name if name not in places.values() else f"{name}_{len(places)}"
    return f"%({places[value]})s"
