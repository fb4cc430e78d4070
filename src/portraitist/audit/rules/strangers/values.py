"""What a stranger's request and the settings are worth on one way through a handler, and which of it was chosen.

A caller may send anything but a secret, a valid token and a session; a setting may be missing or as it should be.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field

from portraitist.audit.rules.evaluator import Mark

REQUEST, ANSWER, HANDLER, NEXT = map(Mark, ("request", "answer", "handler", "next"))
"""What a framework hands a handler, what it answers with, and what a guard calls to let a request pass."""
SOME, ROW = Mark("some"), Mark("row")
"""What is there, whatever it is, and what the database answers."""

_TOKENS = re.compile(
    r"auth|token|cookie|session|jwt|bearer|signature|svix|hmac|secret|passw|credential|key\b", re.I
)
GIVEN = re.compile(
    r"^(SUPABASE|FIREBASE|VERCEL|AWS|GOOGLE|REPLICATE_API|DATABASE|POSTGRES|MONGO|REDIS|NEXT_PUBLIC)_|SERVICE_ROLE|^PORT$|^DB_",
    re.I,
)
"""Settings without which nothing works at all, or that the platform makes."""
_PUBLIC = re.compile(
    r"origin|url|host|domain|client_?id|app_?(id|name)|public|version|model|region|port$|bucket", re.I
)


BESIDE = re.compile(
    r"(^|_)(log|event|audit|metric|rate_?limit|analytic|token|session|verification)s?(_|$)|logs?$|log(s|entr)",
    re.I,
)
"""Tables that keep what happens, not what is whose: a row there is nothing to be kept from strangers."""


class ThrownError(Exception):
    """The program itself leaves here by an error, or by a call that ends the request."""


class PassedError(Exception):
    """A guard hands the request on."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the caller wrote, by where it stands: `header x-demo`; `whole` where that itself is always there."""

    key: str
    whole: bool = False

    @property
    def is_token(self) -> bool:
        """Whether it is meant to prove something, by its name."""
        return _TOKENS.search(self.key) is not None


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the environment, with what stands for it where it is missing."""

    name: str
    default: object = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What only the server knows: a setting that is made, or what is worked out of one."""

    name: str

    @property
    def is_public(self) -> bool:
        """Whether strangers know it all the same, by its name."""
        return _PUBLIC.search(self.name) is not None


@dataclass(slots=True)
class Choices:
    """What is chosen on one way: the first ones by a script of places, further ones by the first option."""

    script: tuple[int, ...] = ()
    made: list[tuple[int, int]] = field(default_factory=list)
    known: dict[Hashable, object] = field(default_factory=dict)
    asked: list[Hashable] = field(default_factory=list)

    def choose(self, key: Hashable, options: tuple[object, ...] = (True, False)) -> object:
        """What holds for a key, chosen once on a way."""
        self.asked.append(key)
        if key not in self.known:
            place = len(self.made)
            taken = self.script[place] if place < len(self.script) else 0
            self.made.append((taken, len(options)))
            self.known[key] = options[taken]
        return self.known[key]

    def is_absent(self, sent: Sent) -> bool:
        """Whether it is chosen already that the caller does not send this."""
        return not sent.whole and self.known.get(("sends", sent.key), True) is False

    def there(self, sent: Sent) -> bool:
        """Whether the caller sends something here."""
        return sent.whole or bool(self.choose(("sends", sent.key)))

    def equals(self, sent: Sent, text: object) -> bool:
        """Whether the caller sends just this."""
        if not text:
            return not self.there(sent)
        there, is_text = ("sends", sent.key), ("sends it", sent.key)
        if is_text in self.known:
            self.asked.append(is_text)
            return self.known[is_text] == text
        if self.known.get(there, True) is False or not self.choose(("is", sent.key, text)):
            return False
        self.known[there], self.known[is_text] = True, text
        return True

    def worth(self, setting: Setting) -> object:
        """What a setting is: made as it should be, or missing."""
        made = GIVEN.search(setting.name) or self.choose(("setting", setting.name))
        return Kept(setting.name) if made else setting.default

    def others(self) -> list[tuple[int, ...]]:
        """The scripts of the ways that part from this one behind its own script."""
        taken = [each for each, _ in self.made]
        return [
            (*taken[:place], other)
            for place in range(len(self.script), len(self.made))
            for other in range(taken[place] + 1, self.made[place][1])
        ]


def is_setting(key: Hashable) -> bool:
    """Whether a choice is about a setting, not about what is sent."""
    return isinstance(key, tuple) and key[0] in {"setting", "mode"}


def said(key: Hashable, value: object) -> str:
    """A choice in words: `sends query auth`, `sends no header authorization`, `API_KEY is not set`.

    "" where it says nothing.
    """
    if not isinstance(key, tuple):
        return ""
    if key[0] == "setting":
        return "" if value else f"{key[1]} is not set"
    if key[0] == "mode":
        return "" if value else f"{key[1]} is not production"
    if key[0] == "sends":
        return f"{'sends' if value else 'sends no'} {key[1]}"
    if key[0] == "is":
        return f"sends {key[2]!r} as {key[1]}" if value else ""
    if key[0] == "listed":
        return f"sends a {key[1]} that is listed" if value else ""
    if key[0] == "holds":
        return f"chooses {key[1]}" if value else ""
    return ""
