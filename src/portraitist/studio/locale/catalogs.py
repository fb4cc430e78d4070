"""The catalogs: one .po file per language beside this module, read when its language is first spoken.

English has none, because it is what the code says. Which language a request wants is `choosing`'s.
"""

import gettext as plurals
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

SOURCE = "en"
"""The language of the code."""
FOLDER = Path(str(files("portraitist.studio") / "locale"))
_PLACE = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Catalog:
    """What one language says. Keys are (context, message), with context None for most."""

    one: Mapping[tuple[str | None, str], str] = field(default_factory=dict)
    many: Mapping[tuple[str | None, str], tuple[str, ...]] = field(default_factory=dict)
    form: Callable[[int], int] = lambda n: int(n != 1)
    from_code: tuple[str, ...] = ()
    """Messages with places for values that errors are made of, which `sentence` recognises filled in."""
    for_scripts: str = ""
    """What scripts say, as JSON."""

    def gettext(self, message: str, context: str | None = None) -> str:
        """The message in this language; itself where there is no translation."""
        return self.one.get((context, message)) or message

    def ngettext(self, singular: str, plural: str, n: int, context: str | None = None) -> str:
        """The form for so many."""
        forms = self.many.get((context, singular))
        if forms is None:
            return singular if n == 1 else plural
        return forms[self.form(n)]

    def sentence(self, said: str) -> str:
        """A sentence that the code has made, with its values in it; as it is where nothing is known of it.

        Sentences of errors are kept in rows and travel through many hands as plain text, so the message is found
        again by its form. What stood in its places stays, unless that is itself a known sentence.
        """
        if not said or (None, said) in self.one:
            return self.gettext(said) if said else said
        for form, message in self._forms:
            if found := form.fullmatch(said):
                return self.gettext(message) % {k: self.sentence(v) for k, v in found.groupdict().items()}
        return said

    @cached_property
    def _forms(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """Each message with places as a pattern; the one with the most words of its own is tried first."""
        longest_first = sorted(self.from_code, key=lambda message: -len(_PLACE.sub("", message)))
        return tuple((_form(message), message) for message in longest_first)


def _form(message: str) -> re.Pattern[str]:
    parts, seen = [], set[str]()
    for at, part in enumerate(_PLACE.split(message)):
        if at % 2 == 0:
            parts.append(re.escape(part.replace("%%", "%")))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            seen.add(part)
            parts.append(f"(?P<{part}>.+?)")
    return re.compile("".join(parts), re.DOTALL)


@cache
def languages() -> Mapping[str, str]:
    """What the studio speaks: code → the language's name in itself, English first."""
    others = sorted(file.stem for file in FOLDER.glob("*.po"))
    return {code: Locale.parse(code).get_language_name(code) or code for code in (SOURCE, *others)}


@cache
def catalog(language: str) -> Catalog:
    """The catalog of one of `languages`."""
    if language == SOURCE:
        return Catalog()
    with (FOLDER / f"{language}.po").open("rb") as file:
        read = read_po(file, locale=language)
    good = [message for message in read if message.id and message.string and not message.fuzzy]
    return Catalog(
        one={(each.context, each.id): str(each.string) for each in good if isinstance(each.id, str)},
        many=dict(_many(good)),
        form=plurals.c2py(read.plural_expr),
        from_code=tuple(str(each.id) for each in good if _is_in(each, ".py") and _PLACE.search(str(each.id))),
        for_scripts=json.dumps({str(each.id): each.string for each in good if _is_in(each, ".js")}),
    )


def _many(messages: list[Message]) -> Iterator[tuple[tuple[str | None, str], tuple[str, ...]]]:
    for each in messages:
        if not isinstance(each.id, str):
            yield (each.context, each.id[0]), tuple(each.string or ())


def _is_in(message: Message, kind: str) -> bool:
    """Whether files of this kind say it, as one text."""
    return isinstance(message.id, str) and any(str(file).endswith(kind) for file, _ in message.locations)
