"""The words the auditor knows, as data files beside this module, and how a user's file extends them.

Names and patterns only: what they mean is decided where they are used.
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any


class VocabularyError(ValueError):
    """A vocabulary file that cannot be read or has an unknown key."""


@dataclass(frozen=True)
class Vocabulary:
    """Lists by name, as in `words.toml`; attribute access gives a frozen set of lower-cased or plain words."""

    lists: dict[str, frozenset[str]]
    patterns: dict[str, re.Pattern[str]]
    fixes: dict[str, str]

    def __post_init__(self) -> None:
        self.__dict__.update(self.lists)  # asked for in the innermost loops

    def __getattr__(self, name: str) -> frozenset[str]:
        raise AttributeError(name)

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the named pattern is found in `text`."""
        return self.patterns[pattern].search(text) is not None


@functools.cache
def _shipped() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("words.toml").read_text("utf-8")
    return tomllib.loads(text)


def load(extra: Path | None = None) -> Vocabulary:
    """The shipped vocabulary, with the lists of a user's TOML file added to it.

    Raises `VocabularyError` when the file is unreadable, is no TOML or names a list that does not exist.
    """
    shipped = _shipped()
    lists = {name: set(words) for name, words in shipped["lists"].items()}
    if extra is not None:
        for name, words in _user_lists(extra).items():
            if name not in lists:
                known = ", ".join(sorted(lists))
                raise VocabularyError(f"{extra.name}: unknown list '{name}'; known lists: {known}")
            lists[name] |= set(words)
    patterns = {name: re.compile(text, re.I) for name, text in shipped["patterns"].items()}
    return Vocabulary(
        {name: frozenset(words) for name, words in lists.items()}, patterns, dict(shipped["fixes"])
    )


def _user_lists(path: Path) -> dict[str, list[str]]:
    try:
        loaded = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise VocabularyError(f"{path.name} cannot be read: {reason}") from error
    found = loaded.get("lists", loaded)
    if not all(
        isinstance(words, list) and all(isinstance(each, str) for each in words) for words in found.values()
    ):
        raise VocabularyError(f"{path.name}: every entry must be a list of strings")
    return dict(found)
