"""The settings that an admin may change: their names, values and defaults. Pure.

Addresses, secrets and timings are the environment's alone (`config.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

SignUp = Literal["closed", "invitation", "open"]
SIGN_UP = "sign_up"


@dataclass(frozen=True)
class Choice:
    """One setting with its possible values; the first is the default. `variable` overrides it."""

    key: str
    variable: str
    values: tuple[str, ...]
    meaning: str


CHOICES = {
    SIGN_UP: Choice(
        SIGN_UP,
        "SIGN_UP",
        ("closed", "invitation", "open"),
        "Who may make an account: nobody, holders of an invitation, everybody.",
    ),
}


@dataclass(frozen=True)
class Setting:
    """What holds for one setting, and whether the environment has decided it."""

    choice: Choice
    value: str
    locked: bool


def effective(choice: Choice, stored: Mapping[str, str], overrides: Mapping[str, str]) -> Setting:
    """The environment's value, else the stored one, else the default."""
    if choice.key in overrides:
        return Setting(choice, overrides[choice.key], locked=True)
    value = stored.get(choice.key, choice.values[0])
    return Setting(choice, value if value in choice.values else choice.values[0], locked=False)


def sign_up(setting: Setting) -> SignUp:
    """The value of `sign_up`, typed."""
    return cast(SignUp, setting.value)
