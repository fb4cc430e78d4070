"""What the expressions of a Next middleware come to for a request by nobody to one path.

A value is what the source says, or `UNKNOWN`; whoever is asked for is `NOBODY`. Statements are in `middleware`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from portraitist.audit import ir
from portraitist.audit.facts.auth import reads_identity
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module


class Mark:
    """Something of which only the kind is known."""

    def __init__(self, name: str) -> None:
        self.name = name


UNKNOWN = Mark("unknown")
NOBODY = Mark("nobody")
"""Whoever is signed in, a token or a session: there is none."""
REQUEST, URL, URL_TEXT, COOKIES, HEADERS = map(
    Mark, ("request", "url", "text of the url", "cookies", "headers")
)
PASSES, AWAY = Mark("passes"), Mark("away")
"""Answers: the request goes on, or it is answered or redirected."""


class Value(NamedTuple):
    """What an expression is; `asked` where that depends on who asks."""

    what: object
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several, none of them a choice again."""

    of: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Closure:
    """A function and the names around it."""

    func: ir.Func
    module: Module
    names: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Matcher:
    """`createRouteMatcher([…])`: whether a request's path is listed."""

    paths: tuple[str, ...]


class GivenUpError(Exception):
    """The source says more than is followed here."""


_WHO = re.compile(r"auth|token|session|user|jwt|sid\b|^sb[-_]|login|key|member", re.I)
_WHOLE = re.compile(r"\.auth\.get(Session|User|Claims)$")
_ANSWERS = {"Response", "NextResponse"}
_OPPOSITE = {"!==": "===", "!=": "==="}
_EXPRESSIONS, _LONG = 50_000, 10_000
"""Expressions looked at, and how long a text or a list may become; a source made to grow says nothing."""
SLOW = re.compile(r"\)[*+{]|([*+][^|]*){5}|([*+].*){12}", re.S)
"""Patterns over which a search may take for ever: a group that is repeated, or many repeated parts in a row."""


def truth(value: Value) -> bool | None:
    """Whether a value is true in a test; None where that is not known."""
    what = value.what
    if isinstance(what, Choice):
        each = {truth(one) for one in what.of}
        return each.pop() if len(each) == 1 else None
    if what is UNKNOWN:
        return None
    return False if what is NOBODY else bool(what) if not isinstance(what, list) else True


class Values:
    """Evaluates expressions; `call` follows a function of the repository and is given by `middleware`."""

    def __init__(
        self, ctx: Context, path: str, method: str, call: Callable[[Closure, list[Value]], Value]
    ) -> None:
        self.ctx, self.path, self.method, self.call = ctx, path, method, call
        self.looked_at = 0

    def of(self, node: ir.Node, module: Module, names: dict[str, Value]) -> Value:
        """The value of an expression in a module, with the local `names`. Raises `GivenUpError`."""
        self.looked_at += 1
        if self.looked_at > _EXPRESSIONS:
            raise GivenUpError
        if isinstance(node, ir.Lit):
            return Value(_pattern(str(node.value)) if node.kind == "regex" else node.value)
        if isinstance(node, ir.Name):
            return names[node.id] if node.id in names else self._named(node.id, module)
        if isinstance(node, ir.Func):
            return Value(Closure(node, module, names))
        if isinstance(node, ir.Attr):
            return self.member(self.of(node.obj, module, names), node.name)
        if isinstance(node, ir.Call):
            return self._called(node, module, names)
        if isinstance(node, ir.Bin):
            return self._operation(node, module, names)
        if isinstance(node, ir.Cond):
            test = self.of(node.test, module, names)
            ways = {True: [node.then], False: [node.other], None: [node.then, node.other]}[truth(test)]
            found = [self.of(each, module, names) for each in ways]
            return either([Value(each.what, each.asked or test.asked) for each in found])
        return self._made(node, module, names)

    def _made(self, node: ir.Node, module: Module, names: dict[str, Value]) -> Value:
        if isinstance(node, ir.Arr):
            items: list[Value] = []
            for each in node.items:
                inner = each.parts[0] if isinstance(each, ir.Other) and each.parts else each
                value = self.of(inner, module, names)
                items.extend(value.what if isinstance(value.what, list) and inner is not each else [value])
            return Value(_bounded(items))
        if isinstance(node, ir.Obj) and not any(each.spread or each.key is None for each in node.props):
            return Value({each.key: self.of(each.value, module, names) for each in node.props})
        if isinstance(node, ir.Tmpl):
            parts = [self.of(each, module, names).what for each in node.parts]
            known = all(isinstance(each, str) for each in parts)
            return Value(_bounded("".join(map(str, parts))) if known else UNKNOWN)
        if isinstance(node, ir.Index):
            held, key = self.of(node.obj, module, names), self.of(node.key, module, names)
            if isinstance(held.what, list) and isinstance(key.what, int) and key.what < len(held.what):
                found: Value = held.what[key.what]
                return found
            return Value(held.what if held.what is NOBODY else UNKNOWN, held.asked)
        return Value(UNKNOWN)

    def _named(self, name: str, module: Module) -> Value:
        """A name of the module: a constant, a function, or one that another module exports."""
        if name == "undefined":
            return Value(None)
        for _ in range(4):
            bound = module.top.names.get(name, [])
            if len(bound) != 1:
                return Value(UNKNOWN)
            made = bound[0]
            if made.kind == "func" and isinstance(made.node, ir.Func):
                return Value(Closure(made.node, module, {}))
            if made.kind == "import" and isinstance(made.node, ir.Import):
                path = self.ctx.program.resolver.resolve(module.path, made.node.module, module.language)
                other = self.ctx.program.modules.get(path) if path else None
                if other is None:
                    return Value(UNKNOWN)
                module, name = other, _local(other, str(made.keys[0]))
                continue
            constant = made.value is not None and made.decl == "const"
            return self.of(made.value, module, {}) if constant and made.value is not None else Value(UNKNOWN)
        return Value(UNKNOWN)

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

    def _operation(self, node: ir.Bin, module: Module, names: dict[str, Value]) -> Value:
        left = self.of(node.left, module, names)
        known = truth(left)
        if node.op == "not":
            return Value(UNKNOWN if known is None else not known, left.asked)
        if node.right is None:
            return Value(UNKNOWN, left.asked)
        if node.op in {"and", "or"} and known is not None and known is (node.op == "or"):
            return left
        right = self.of(node.right, module, names)
        asked = left.asked or right.asked
        if node.op in {"and", "or"}:
            if known is None and truth(right) is (node.op == "or"):
                return Value(node.op == "or", asked)
            return Value(UNKNOWN if known is None else right.what, asked)
        if node.op == "+" and isinstance(left.what, str) and isinstance(right.what, str):
            return Value(_bounded(left.what + right.what))
        same = _same(left.what, right.what) if node.op in {"===", "==", *_OPPOSITE} else None
        return Value(UNKNOWN if same is None else same is not (node.op in _OPPOSITE), asked)

    def _called(self, node: ir.Call, module: Module, names: dict[str, Value]) -> Value:
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
            same = [_same(each.what, first.what) for each in items]
        elif name in {"some", "every"} and isinstance(first.what, Closure):
            same = [truth(self.call(first.what, [each])) for each in items]
        else:
            return Value(UNKNOWN)
        if name == "every":
            return Value(False if False in same else UNKNOWN if None in same else True)
        return Value(True if True in same else UNKNOWN if None in same else False)


def _local(module: Module, exported: str) -> str:
    """The name in its own module of what a module exports."""
    held = module.exports.get(exported, exported)
    return held if isinstance(held, str) else exported


def _answer(node: ir.Call, name: str, last: str) -> Mark | None:
    """What kind of answer a call makes, if any."""
    root = name.partition(".")[0]
    if root in _ANSWERS and (last == "next" or (last == root and node.is_new and not node.args)):
        return PASSES
    return AWAY if root in _ANSWERS or last in {"redirect", "redirectToSignIn", "protect"} else None


def _bounded(made: str | list[Value]) -> str | list[Value]:
    """A text or a list as it is. Raises `GivenUpError` where it has grown too long."""
    if len(made) > _LONG:
        raise GivenUpError
    return made


def _pattern(text: str) -> object:
    """A regular expression as it stands in the source, or `UNKNOWN` where Python reads it otherwise or too slowly."""
    body, _, flags = text[1:].rpartition("/")
    if SLOW.search(body):
        return UNKNOWN
    try:
        return re.compile(body.replace("\\/", "/"), re.I if "i" in flags else 0)
    except (re.error, OverflowError):
        return UNKNOWN


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


def _same(left: object, right: object) -> bool | None:
    if left is UNKNOWN or right is UNKNOWN or isinstance(left, Choice) or isinstance(right, Choice):
        return None
    nothing = [each is None or each is NOBODY for each in (left, right)]
    return all(nothing) if any(nothing) else left == right


def either(values: list[Value]) -> Value:
    """One of several values, as one."""
    if len(values) == 1:
        return values[0]
    known = [Value(one.what, one.asked or each.asked) for each in values for one in options(each)]
    if len(known) > _LONG:
        raise GivenUpError
    return Value(Choice(tuple(known)), any(each.asked for each in known))


def options(value: Value) -> tuple[Value, ...]:
    """The values that one may be, none of them a choice again."""
    return value.what.of if isinstance(value.what, Choice) else (value,)
