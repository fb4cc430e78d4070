"""What a page says, in the language of the request: `_`, `ngettext` and `pgettext` as in templates, `said` for errors.

The language is the running task's: `web.speaking` sets it for each request, and whoever writes to a member sets it
for the letter. Nobody has set it: English.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from portraitist.studio.locale.catalogs import SOURCE, catalog, languages

_language: ContextVar[str] = ContextVar("language", default=SOURCE)


def language() -> str:
    """The code of the language that is spoken now."""
    return _language.get()


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Say everything within in this language; English where the studio does not speak it."""
    token = _language.set(code if code in languages() else SOURCE)
    try:
        yield
    finally:
        _language.reset(token)


def message(text: str) -> str:
    """The message in the language of now, its places still open: what templates fill in, escaped."""
    return catalog(language()).gettext(text)


def message_of(context: str, text: str) -> str:
    """As `message`, of a word that means several things."""
    return catalog(language()).gettext(text, context)


def forms(singular: str, plural: str, num: int) -> str:
    """The form for `num`, its places still open."""
    return catalog(language()).ngettext(singular, plural, num)


def for_scripts() -> str:
    """What scripts say, as JSON: message → translation; empty in English, which they speak themselves."""
    return catalog(language()).for_scripts


def _(message: str, **values: Any) -> str:
    """The message in the language of now, with its values put in: `_("%(n)s photos", n=3)`. A constant, always."""
    return (
        catalog(language()).gettext(message) % values
    )  # filled in even without values: %% is a percent sign


def ngettext(singular: str, plural: str, num: int, **values: Any) -> str:
    """The form for `num`, which is a value too: `ngettext("%(num)s photo", "%(num)s photos", 3)`."""
    return catalog(language()).ngettext(singular, plural, num) % ({"num": num} | values)


def pgettext(context: str, message: str, **values: Any) -> str:
    """As `_`, of a word that means several things: `pgettext("framing", "Close")`."""
    return catalog(language()).gettext(message, context) % values


def said(sentence: str) -> str:
    """A sentence of a table or an error, which may have values in it already; see `Catalog.sentence`."""
    return catalog(language()).sentence(sentence)
