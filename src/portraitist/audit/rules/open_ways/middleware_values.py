"""What the expressions of a Next middleware come to for a request by nobody to one path.

A value is what the source says, or `UNKNOWN`; whoever is asked for is `NOBODY`. Statements are in `middleware`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import reads_identity
from portraitist.audit.link.module import Module
from portraitist.audit.rules.evaluator import (
    LONG,
    NOBODY,
    SLOW,
    UNKNOWN,
    Closure,
    Evaluator,
    GivenUpError,
    Mark,
    Names,
    Value,
)

REQUEST, URL, URL_TEXT, COOKIES, HEADERS = map(
    Mark, ("request", "url", "text of the url", "cookies", "headers")
)
PASSES, AWAY = Mark("passes"), Mark("away")
"""Answers: the request goes on, or it is answered or redirected."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several, none of them a choice again."""

    of: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Matcher:
    """`createRouteMatcher([…])`: whether a request's path is listed."""

    paths: tuple[str, ...]


_WHO = re.compile(r"auth|token|session|user|jwt|sid\b|^sb[-_]|login|key|member", re.I)
_WHOLE = re.compile(r"\.auth\.get(Session|User|Claims)$")
_ANSWERS = {"Response", "NextResponse"}


def truth(value: Value) -> bool | None:
    """Whether a value is true in a test; None where that is not known."""
    what = value.what
    if isinstance(what, Choice):
        each = {truth(one) for one in what.of}
        return each.pop() if len(each) == 1 else None
    if what is UNKNOWN:
        return None
    return False if what is NOBODY else bool(what) if not isinstance(what, list) else True


class Values(Evaluator):
    """Evaluates expressions; `call` follows a function of the repository and is given by `middleware`."""

    def __init__(
        self, ctx: Context, path: str, method: str, call: Callable[[Closure, list[Value]], Value]
    ) -> None:
        super().__init__(ctx)
        self.path, self.method, self.call = path, method, call

    def truth(self, value: Value) -> bool | None:
        """Whether a value is true in a test; None where that is not known."""
        return truth(value)

    def same(self, left: object, right: object) -> bool | None:
        """Whether two things are the same; None where that is not known."""
        if left is UNKNOWN or right is UNKNOWN or isinstance(left, Choice) or isinstance(right, Choice):
            return None
        nothing = [each is None or each is NOBODY for each in (left, right)]
        return all(nothing) if any(nothing) else left == right

    def either(self, values: list[Value]) -> Value:
        """One of several values, as one."""
        return either(values)

    def member(self, held: Value, name: str) -> Value:
        """`held.name`."""
        what = held.what
        if what is REQUEST:
            known: dict[str, object] = {
                "nextUrl": URL, "url": URL_TEXT, "method": self.method, "cookies": COOKIES, "headers": HEADERS,
                "auth": NOBODY,
            }  # fmt: skip
            return Value(known.get(name, UNKNOWN), name == "auth")
        if what is URL:
            return Value(self.path if name == "pathname" else UNKNOWN)
        if what is NOBODY:
            return Value(UNKNOWN if name == "error" else NOBODY, True)
        if isinstance(what, dict):
            found: Value = what.get(name, Value(None))
            return found
        if isinstance(what, str | list) and name == "length":
            return Value(len(what))
        return Value(UNKNOWN, held.asked)

    def called(self, node: ir.Call, module: Module, names: Names) -> Value:
        """What a call gives."""
        name = ir.dotted(node.func)
        last = name.rpartition(".")[2]
        if (answer := _answer(node, name, last)) is not None:
            return Value(answer)
        args = [self.of(each, module, names) for each in node.args]
        if node.is_new:
            first = args[0].what if args else None
            if name == "Set" and isinstance(first, list):
                return Value(first)
            return Value(URL if first is URL_TEXT and len(args) == 1 else UNKNOWN)
        if last == "createRouteMatcher" and args and isinstance(args[0].what, list):
            return Value(Matcher(tuple(each.what for each in args[0].what if isinstance(each.what, str))))
        if isinstance(node.func, ir.Attr):
            held = self.of(node.func.obj, module, names)
            found = self._method(held, last, args)
            if found is not None:
                return found
        if _WHOLE.search(name):  # an object, whoever asks
            return Value({"data": Value(NOBODY, True), "error": Value(UNKNOWN, True)}, True)
        if reads_identity(self.ctx, node):
            return Value(NOBODY, True)
        made = self.of(node.func, module, names).what
        if isinstance(made, Matcher):
            return Value(any(covers(each, self.path) for each in made.paths))
        if isinstance(made, Closure):
            return self.call(made, args)
        return Value(UNKNOWN, any(each.asked or each.what is NOBODY for each in args))

    def _method(self, held: Value, name: str, args: list[Value]) -> Value | None:
        what, first = held.what, args[0].what if args else None
        if what is COOKIES:
            return Value(False if name == "has" else NOBODY, True)
        if what is HEADERS:
            who = isinstance(first, str) and _WHO.search(first) is not None
            return Value(NOBODY if who else UNKNOWN, who)
        if isinstance(what, list):
            return self._of_list(what, name, args)
        if isinstance(what, re.Pattern) and name == "test":
            return Value(what.search(first) is not None if isinstance(first, str) else UNKNOWN)
        if not isinstance(what, str):
            return None
        if name == "match" and isinstance(first, re.Pattern):
            return Value(first.search(what) is not None)
        tests: dict[str, Callable[[str], object]] = {
            "startsWith": what.startswith, "endsWith": what.endswith, "includes": lambda part: part in what,
            "split": lambda by: [Value(each) for each in (what.split(by) if by else what)],
        }  # fmt: skip
        return Value(tests[name](first)) if name in tests and isinstance(first, str) else Value(UNKNOWN)

    def _of_list(self, items: list[Value], name: str, args: list[Value]) -> Value:
        first = args[0] if args else Value(None)
        if name in {"includes", "has"}:
            same = [self.same(each.what, first.what) for each in items]
        elif name in {"some", "every"} and isinstance(first.what, Closure):
            same = [truth(self.call(first.what, [each])) for each in items]
        else:
            return Value(UNKNOWN)
        if name == "every":
            return Value(False if False in same else UNKNOWN if None in same else True)
        return Value(True if True in same else UNKNOWN if None in same else False)


def _answer(node: ir.Call, name: str, last: str) -> Mark | None:
    """What kind of answer a call makes, if any."""
    root = name.partition(".")[0]
    if root in _ANSWERS and (last == "next" or (last == root and node.is_new and not node.args)):
        return PASSES
    return AWAY if root in _ANSWERS or last in {"redirect", "redirectToSignIn", "protect"} else None


def covers(listed: str, path: str) -> bool:
    """Whether a pattern of paths, as Next and its libraries write them, names a path as a whole.

    Raises `GivenUpError` for what is no pattern, or one that takes too long.
    """
    if SLOW.search(listed):
        raise GivenUpError
    try:
        some = re.sub(r"/:\w+([*+?]?)", lambda found: r"/[^/]+" if not found[1] else r"(?:/.*)?", listed)
        return re.fullmatch(some, path) is not None
    except (re.error, OverflowError) as error:
        raise GivenUpError from error


def either(values: list[Value]) -> Value:
    """One of several values, as one."""
    if len(values) == 1:
        return values[0]
    known = [Value(one.what, one.asked or each.asked) for each in values for one in options(each)]
    if len(known) > LONG:
        raise GivenUpError
    return Value(Choice(tuple(known)), any(each.asked for each in known))


def options(value: Value) -> tuple[Value, ...]:
    """The values that one may be, none of them a choice again."""
    return value.what.of if isinstance(value.what, Choice) else (value,)
