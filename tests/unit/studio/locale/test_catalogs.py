"""Every catalog is whole: each message that the studio says today, with the same places and tags, and no other."""

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes
from tools import messages, sentences

CATALOGS = sorted(messages.LOCALE.glob("*.po"))
FOR_DEVELOPERS = "all_components.html"
PAGES = messages.STUDIO / "web" / "templates"
TEMPLATES = sorted(path for path in PAGES.rglob("*.html") if path.name != FOR_DEVELOPERS)
PLACE, TAG = re.compile(r"%\(\w+\)s"), re.compile(r"</?\w+[^>]*>")
NOT_WORDS = re.compile(r"Portraitist|API|SHA-256|(?<!\S)/\S+")
WORD = re.compile(r"[A-Za-z]{2,}")


@cache
def template() -> Catalog:
    return messages.extracted()


def stored(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def texts(message: Message) -> list[tuple[str, str]]:
    """(original, translation) of each form."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    return list(zip([message.id[0], *[message.id[1]] * 9], message.string, strict=False))


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_every_message_of_today_is_translated_and_none_of_yesterday(path: Path) -> None:
    catalog = stored(path)
    missing = [each.id for each in template() if each.id and catalog.get(_key(each), each.context) is None]
    gone = [each.id for each in catalog if each.id and template().get(_key(each), each.context) is None]
    assert not missing, "make messages, then translate:\n" + "\n".join(map(str, missing))
    assert not gone, "make messages takes away:\n" + "\n".join(map(str, gone))
    assert not [each.id for each in messages.untranslated(catalog)]
    assert not catalog.obsolete


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_a_translation_has_the_places_and_tags_of_its_message(path: Path) -> None:
    for message in stored(path):
        for original, translation in texts(message) if message.id and message.string else []:
            assert _places(translation) == _places(original), translation
            assert sorted(TAG.findall(translation)) == sorted(TAG.findall(original)), translation
            assert translation % {"num": 1, **dict.fromkeys(re.findall(r"%\((\w+)\)s", original), "x")}
            assert '"' not in TAG.sub("", translation), f"would end an attribute: {translation}"


def _places(text: str) -> set[str]:
    """The values in it; a form for one thing may say the number as a word."""
    return set(PLACE.findall(text)) - {"%(num)s"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(PAGES)))
def test_templates_say_nothing_past_the_catalogs(path: Path) -> None:
    naked = [text for text in _naked(path.read_text("utf-8")) if WORD.search(NOT_WORDS.sub(" ", text))]
    assert not naked, f"wrap it as {{{{ _(…) }}}}: {naked}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(PAGES)))
def test_templates_translate_constants_only_since_a_message_is_markup(path: Path) -> None:
    """A message is trusted, and its values are escaped; text from elsewhere goes through `said`."""
    tree = Environment(extensions=["jinja2.ext.i18n"]).parse(path.read_text("utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in ("_", "gettext", "ngettext", "pgettext"):
            assert isinstance(call.args[0], nodes.Const), f"line {call.lineno}"


def _naked(source: str) -> list[str]:
    """What of a template is read by people and is not an expression: text, and attributes that are read out."""
    source = re.sub(r"\{#.*?#\}|<svg.*?</svg>|<(?:code|kbd)>.*?</(?:code|kbd)>", " ", source, flags=re.DOTALL)
    read_out = re.findall(r'(?:aria-label|alt|placeholder|title)="([^"{]*)"', source)
    plain = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", " ", source, flags=re.DOTALL)
    return [*read_out, *(" ".join(each.split()) for each in re.split(r"<[^>]*>", plain) if each.strip())]


def test_naked_words_are_seen_in_text_and_in_attributes() -> None:
    assert _naked('<p title="Hello you">{{ _("fine") }} bare words</p>') == ["Hello you", "bare words"]


def test_sentences_of_errors_are_found_with_a_place_for_each_value() -> None:
    source = '''
raise Conflict("a_code", f"{per_day} trainings in {hours:.0f} hours, 5 % more.", next_step="Wait.")
log.warning("a_code", "Not for people.")
CONSENT = """\\
You agree.
"""
def f():
    """No docstring is said."""
    return training.parked(Status.X, "code", f"The picture is {len(photos)} wide")
'''
    assert set(sentences.of(source, "training/some.py")) == {
        "%(per_day)s trainings in %(hours)s hours, 5 %% more.",
        "Wait.",
        "You agree.\n",
        "The picture is %(photos)s wide",
    }
