"""`make messages`: brings the catalogs of other languages up to date with what the studio says.

Messages come from templates, scripts and `_()` in code (Babel's extractors), and from the sentences that errors,
verdicts and tables in code are made of (`tools.sentences`). What nobody says any more leaves the catalogs.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from tools import sentences

STUDIO = Path(__file__).parents[1] / "src" / "portraitist" / "studio"
LOCALE = STUDIO / "locale"
KEYWORDS: dict[str, Any] = {"_": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}
Found = tuple[str | None, str | tuple[str, ...], str]
"""(context, message or its two forms, file)."""


def extracted() -> Catalog:
    """Everything that the studio says, as an untranslated catalog."""
    catalog = Catalog(project="portraitist", charset="utf-8", fuzzy=False)
    for context, message, file in sorted(
        set(_found()), key=lambda each: (each[2], str(each[1]), str(each[0]))
    ):
        catalog.add(message, locations=[(file, 0)], context=context)
    return catalog


def _found() -> Iterator[Found]:
    for path in sorted((STUDIO / "web" / "templates").rglob("*.html")):
        yield from _by(
            babel_extract, path, {"newstyle_gettext": "true", "silent": "false", "trimmed": "false"}
        )
    for path in sorted((STUDIO / "web" / "static").rglob("*.js")):
        yield from _by("javascript", path, {})
    for path in sorted(STUDIO.rglob("*.py")):
        file = _name(path)
        yield from _by("python", path, {})
        for message in sentences.of(path.read_text("utf-8"), file):
            yield None, message, file


def _by(method: Any, path: Path, options: dict[str, Any]) -> Iterator[Found]:
    with path.open("rb") as file:
        for _, message, _, context in _extract(method, file, options):
            yield context, message, _name(path)


def _extract(method: Any, file: BinaryIO, options: dict[str, Any]) -> Any:
    return extract(method, file, keywords=KEYWORDS, options=options)


def _name(path: Path) -> str:
    return path.relative_to(STUDIO).as_posix()


def said_by_scripts() -> set[str]:
    """The messages that scripts say, which pages bring along."""
    return {
        each[1]
        for path in (STUDIO / "web" / "static").rglob("*.js")
        for each in _by("javascript", path, {})
        if isinstance(each[1], str)
    }


def brought_up_to_date(path: Path) -> Catalog:
    """The catalog at this path with every message of today, those of yesterday gone."""
    template = extracted()
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.stem)
    catalog.update(template, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


HEADER = """\
# Made by `make messages`; translations are written in here by hand.
msgid ""
msgstr ""
"Language: {language}\\n"
"Plural-Forms: {plural_forms}\\n"
"Content-Type: text/plain; charset=utf-8\\n"

"""
"""Without times and names, so that a file changes where a message does, and nowhere else."""


def written(catalog: Catalog, path: Path) -> None:
    """Write it in the order of the files that say it."""
    header = HEADER.format(language=catalog.locale, plural_forms=catalog.plural_forms)
    with path.open("wb") as file:
        file.write(header.encode())
        write_po(file, catalog, width=110, omit_header=True, include_lineno=False, sort_by_file=True)


def untranslated(catalog: Catalog) -> list[Message]:
    """Messages without a translation, or with one that nobody has confirmed."""
    return [each for each in catalog if each.id and (each.fuzzy or not _whole(each.string))]


def _whole(string: str | tuple[str, ...] | list[str] | None) -> bool:
    return bool(string) and all(string or ())


def main() -> int:
    """Update every catalog; says what is to be translated, and fails while something is."""
    left = 0
    for path in sorted(LOCALE.glob("*.po")):
        catalog = brought_up_to_date(path)
        written(catalog, path)
        for each in untranslated(catalog):
            sys.stdout.write(f"{path.name}: {json.dumps(each.id, ensure_ascii=False)}\n")
            left += 1
    sys.stdout.write(f"{left} to translate\n")
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())
