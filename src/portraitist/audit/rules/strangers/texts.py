"""What methods of the request, of what was sent and of known texts give a stranger. Part of `calls`."""

from __future__ import annotations

from portraitist.audit.rules.evaluator import NOBODY, UNKNOWN, Value
from portraitist.audit.rules.strangers.expressions import PARTS, WHO, Expressions
from portraitist.audit.rules.strangers.values import REQUEST, Kept, Sent, Setting, ThrownError

_READS = {
    "json", "text", "formData", "get_json", "form", "body", "parseBody", "arrayBuffer", "read", "readBody", "blob",
    "readRawBody", "getQuery", "bytes", "rawBody", "getBody",
}  # fmt: skip
"""Methods that give all that was sent."""
_GETS = {
    "get", "getAll", "header", "getHeader", "query", "param", "getlist", "cookie", "getCookie", "getRouterParam", "pop",
}  # fmt: skip
"""Methods that give a part of it by its name."""
SAME = {
    "trim", "toLowerCase", "toUpperCase", "strip", "lower", "upper", "toString", "replace", "split", "slice",
    "substring", "decode", "encode", "rstrip", "lstrip", "removeprefix", "partition", "at", "padStart", "normalize",
    "replaceAll",
}  # fmt: skip
"""Methods that give the same in another form."""
_CONVERTS = {
    "String", "Number", "parseInt", "parseFloat", "str", "int", "float", "from", "decodeURIComponent", "atob", "json",
    "parse", "safeParse", "parseAsync", "safeParseAsync", "loads", "validate", "model_validate", "unquote", "trim",
    "dict", "model_dump", "fromEntries", "entries", "URL", "URLSearchParams", "Request", "b64decode", "len", "list",
    "Headers",
}  # fmt: skip
"""Functions that do."""
HOLDS = {
    "startsWith", "endsWith", "includes", "startswith", "endswith", "match", "test", "isArray", "has", "some", "search",
}  # fmt: skip
"""Questions to a text of the caller's, the answers to which are the caller's."""


class Texts(Expressions):
    """Evaluates what is done with what was sent."""

    def of_carrier(self, name: str, first: object) -> Value:
        """A method of the request."""
        if name in _READS:
            return Value(Sent("body", whole=True))
        if name == "get" and first in WHO:
            return self.hung.get(str(first), Value(NOBODY, True))
        if name in _GETS:
            part = {"query": "query", "param": "param", "cookie": "cookie"}.get(name, "header")
            return Value(
                Sent(f"{part} {first}", whole=part == "param")
                if isinstance(first, str)
                else Sent(part, whole=True)
            )
        if name == "clone":
            return Value(REQUEST)
        if name == "set" and isinstance(first, str):
            return Value(UNKNOWN)
        return Value(UNKNOWN, name not in PARTS)

    def of_text(self, sent: Sent, name: str, first: object) -> Value:
        """A method of what was sent."""
        if name in _GETS | {"getFirst"} and (sent.whole or isinstance(first, str)):
            joiner = " " if sent.key in {"header", "query", "cookie", "param"} else "."
            return Value(Sent(f"{sent.key}{joiner}{str(first).lower() if sent.key == 'header' else first}")
                         if isinstance(first, str) else Sent(sent.key))  # fmt: skip
        if name in SAME or name in _READS or name in {"get", "dict", "model_dump", "copy", "items"}:
            if not self.choices.there(sent):
                raise ThrownError
            return Value(sent)
        if name in HOLDS:
            first = self.worth(first) if isinstance(first, Setting) else first
            if isinstance(first, Kept) and not first.is_public:
                return Value(False)
            return Value(
                self.choices.there(sent) and bool(self.choices.choose(("holds", sent.key, str(first))))
            )
        return Value(UNKNOWN, sent.is_token)

    def converted(self, last: str, args: list[Value]) -> Value | None:
        """Functions that make the same of what was sent in another form, and tests of it."""
        sent = next((each.what for each in args if isinstance(each.what, Sent)), None)
        if args and last in {"Boolean", "bool"}:
            known = self.truth(args[0])
            return Value(UNKNOWN if known is None else known, args[0].asked)
        if args and args[0].what is REQUEST and last in _READS:
            return Value(Sent("query" if "uery" in last else "body", whole=True))
        if (
            args
            and args[0].what is REQUEST
            and last in _GETS
            and len(args) > 1
            and isinstance(args[1].what, str)
        ):
            return Value(
                Sent(
                    f"{'cookie' if 'ookie' in last else 'param' if 'Param' in last else 'header'} {args[1].what}"
                )
            )
        if sent is None:
            return None
        if last in HOLDS:
            return Value(bool(self.choices.choose(("holds", sent.key, last))))
        if last in {"URL", "Request"}:
            return Value(Sent("address", whole=True))
        return Value(sent) if last in _CONVERTS and not last.startswith("verify") else None


def of_literal(text: str, name: str, first: object) -> Value:
    """A method of a text that is known."""
    if name in {"lower", "toLowerCase"}:
        return Value(text.lower())
    if name in {"upper", "toUpperCase"}:
        return Value(text.upper())
    if name in {"trim", "strip", "toString"}:
        return Value(text.strip())
    if name == "split":
        return Value(
            [Value(each) for each in text.split(first)] if isinstance(first, str) and first else UNKNOWN
        )
    if not isinstance(first, str):
        return Value(UNKNOWN)
    tests = {"startsWith": text.startswith, "startswith": text.startswith, "endsWith": text.endswith,
             "endswith": text.endswith, "includes": text.__contains__}  # fmt: skip
    return Value(tests[name](first)) if name in tests else Value(UNKNOWN)
