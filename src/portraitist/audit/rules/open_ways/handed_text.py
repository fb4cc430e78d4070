"""Stored functions that execute whatever text they are handed, with their owner's rights. Part of `missing-auth`.

Whoever may call such a function is the database's owner. Reads the SQL files; what was granted or taken back by hand is
not known, and a function that compares the text with anything first may be one that knows what it lets pass.
"""

from __future__ import annotations

import re

from portraitist.audit.facts import sql

_EXECUTES = re.compile(
    r"\bexecute\s+(?!(?:function|procedure|on)\b)(?P<what>(?:'(?:[^']|'')*'|[^;'])*?)(?:\b(?:into|using)\b[^;]*)?;",
    re.I,
)
_TEXT = re.compile(r"\b(text|varchar|character\s+varying|citext)\b(?!\s*\[)", re.I)
_QUOTED = re.compile(r"\bquote_(?:ident|literal|nullable)\s*\([^()]*\)", re.I)
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_FORMAT = re.compile(r"\s*format\s*\(\s*(?P<text>'(?:[^']|'')*')\s*,(?P<rest>.*)\)\s*$", re.I | re.S)
_HOLE = re.compile(r"%(?:\d+\$)?([sIL])")
_TESTS = re.compile(
    r"\b(?:if|elsif|case|when|assert)\b(?P<test>(?:'(?:[^']|'')*'|[^;'])*?)\b(?:then|;)", re.I
)
_GRANTS = re.compile(
    rf"(?:{sql.first('grant')}|{sql.first('revoke')})\s+(?P<what>[^;]*?)\s+on\s+(?:all\s+functions\s+in\s+schema\s+\w+"
    r"|(?:function|routine)\s+(?P<names>[^;]*?))\s+(?P<way>to|from)\s+(?P<roles>[\w\",\s]+)",
    re.I,
)
_BROWSERS = frozenset({"public", "anon", "authenticated"})


def executed(params: str, body: str) -> str:
    """The parameter whose text a function's body executes as it is handed over, "" where there is none.

    Bare, or put into a statement without quoting: `execute query`, `execute 'select … (' || query || ')'`,
    `execute format('… %s …', query)`. None that the body tests first.
    """
    names = [_name(each) for each in params.split(",") if _TEXT.search(each)]
    tests = " ".join(each["test"] for each in _TESTS.finditer(body))
    for found in _EXECUTES.finditer(body):
        for name in names:
            tested = re.search(rf"\b{re.escape(name)}\b", tests, re.I)
            if name and not tested and _stands_raw(name, found["what"]):
                return name
    return ""


def _name(param: str) -> str:
    words = [each for each in param.split() if each.lower() not in {"in", "inout", "variadic"}]
    return words[0].strip('"').lower() if len(words) > 1 else ""


def _stands_raw(name: str, what: str) -> bool:
    """Whether a parameter's own text becomes part of the statement: not quoted, and at no `%I` or `%L` of a format."""
    formatted = _FORMAT.match(what)
    if formatted is not None:
        given = [each.strip().lower() for each in formatted["rest"].split(",")]
        holes = _HOLE.findall(formatted["text"])
        return any(hole == "s" and each == name for hole, each in zip(holes, given, strict=False))
    parts = _LITERAL.sub("''", _QUOTED.sub("''", what)).split("||")
    return any(each.strip().strip("()").strip().lower().removesuffix("::text") == name for each in parts)


def who_may_call(whole: str, name: str) -> str:
    """Who of those that a browser may be is let call a function, after all that the files grant and take back.

    A new function is everybody's; "" where that was taken back and given to nobody who comes with a browser.
    """
    held = {"public"}
    for each in _GRANTS.finditer(whole):
        if each["names"] is not None and not re.search(rf"\b{re.escape(name)}\b", each["names"], re.I):
            continue
        roles = {one.strip(' "\n').lower() for one in each["roles"].split(",")} & _BROWSERS
        if each["way"].lower() == "to":
            held |= roles
        else:
            held = set() if "public" in roles or {"anon", "authenticated"} <= roles else held - roles
    return "anybody" if held & {"public", "anon"} else "whoever is signed in" if held else ""
