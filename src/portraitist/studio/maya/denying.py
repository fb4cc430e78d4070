"""What a member's words say they do not want, and the words without it. Pure.

What the words name is `weaving`'s; how looks are ranked by both is `matching`'s.
"""

import re
from typing import Final

_PLACED: Final = r"(?:in|on|at|by|beside|under|near|along|inside|outside|through)"
_KIND: Final = r"(?:a|an|the|any|another|my|with|from)"
_GOES_ON: Final = rf"\ and\ (?:not|no|without|rather|{_PLACED}|{_KIND})\b"
_ENDS: Final = rf"\ (?:but|just|please|rather|instead|or|then)\b|{_GOES_ON}|[.,;:!?]|$"
# "no idea", "not sure" and "why not the sea" deny nothing; a hat that is denied "in the garden" leaves the garden
_DENIAL: Final = re.compile(
    rf"""(?<!why\ )\b(?:but\ |and\ |or\ )?
    (?:not\ (?={_PLACED}\b|{_KIND}\b)
    |(?:do\ not|don['’]t|never|would\ not|wouldn['’]t)\ (?:want|like|wear|need|put\ me)\ (?:to\ (?:be|wear|see)\ )?
    |no\ (?!(?:ideas?|problem|preferences?|worries|matter|rush|one|need|thanks|more)\b)
    |without\ |instead\ of\ |rather\ than\ |anything\ but\ |except\ (?:for\ )?)
    (?:{_PLACED}\ (?P<place>[^.,;:!?]+?)(?={_ENDS})
    |(?P<thing>[^.,;:!?]+?)(?=\ {_PLACED}\b|{_ENDS}))""",
    re.IGNORECASE | re.VERBOSE,
)
LONGEST: Final = 6
"""Words in something that is denied; what is longer says something else as well."""


def apart(words: str) -> tuple[str, tuple[str, ...]]:
    """The words without what is denied in them, and each thing that is: `the sea` of "not by the sea"."""
    text = " ".join(words.split())
    denied: list[str] = []

    def taken(found: re.Match[str]) -> str:
        what = found["place"] or found["thing"]
        if len(what.split()) > LONGEST:
            return found[0]
        denied.append(what)
        return " "

    wanted = " ".join(_DENIAL.sub(taken, text).split())
    return (wanted, tuple(denied)) if denied else (words, ())
