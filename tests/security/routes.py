"""The route table as a matrix: which parameters every endpoint has, which of them name something of a member's, and
what another member, nobody and somebody who made the name up are told. A parameter that is not known here is a
failure that says what to add.
"""

import json
import re
import secrets
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin
from urllib.parse import quote, urlencode

from fastapi import FastAPI
from fastapi import params as kinds
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from tests.security.asking import Answer, Question
from tests.security.parameters import (
    BUTTONS,
    CURSORS,
    FORM_WORDS,
    IDS,
    NARROWING,
    OTHER_NAMES,
    PLAIN,
    PLAIN_HERE,
    RAW_BODIES,
)

REFUSED = 401
FORM = "application/x-www-form-urlencoded"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class UnknownParameter(AssertionError):
    """The matrix has no value for a parameter of a route."""

    def __init__(self, route: "Route", name: str) -> None:
        super().__init__(
            f"{route.method} {route.path} has the parameter {name!r}, which the isolation matrix does not know. "
            "Add it in tests/security/parameters.py: to IDS with the query that lists a member's values where it names "
            "something of a member's, else to PLAIN with a value that passes (of a form: to FORM_WORDS)."
        )


@dataclass(frozen=True)
class Route:
    """One endpoint and method, of a form one of its buttons. Parameters are by place: path, query, header, body,
    form."""

    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    """(place, name)."""
    lists: frozenset[str] = frozenset()
    """Parameters that take several values at once."""
    pressed: tuple[tuple[str, str], ...] = ()
    """What a form's button says."""

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    def ids(self) -> list[str]:
        """Its parameters that name something of a member's."""
        return [name for place, name in self.parameters if self._is_id(place, name)]

    def form_ids(self) -> list[str]:
        """Those of them that stand in a form."""
        return [name for place, name in self.parameters if place == "form" and self._is_id(place, name)]

    def _is_id(self, place: str, name: str) -> bool:
        if place == "form" and name in FORM_WORDS:
            return False
        return kind_of(name) in IDS and not self._here(name)

    def _here(self, name: str) -> Any:
        return PLAIN_HERE.get((*self.key, name))

    def asked(self, values: Mapping[str, Any]) -> Question:
        """The request with these values, and one that passes for every other parameter."""
        path, query, headers, body = self.path, {}, [], {}
        for place, name in self.parameters:
            if place == "form":
                continue
            if name not in values and name in CURSORS | NARROWING:
                continue
            value = values[name] if name in values else self._plain(name)
            if place == "path":
                for slot in (f"{{{name}}}", f"{{{name}:path}}"):
                    path = path.replace(slot, quote(str(value)))
            elif place == "query":
                query[name] = value
            elif place == "header":
                headers.append((name, str(value)))
            else:
                body[name] = [value] if name in self.lists else value
        if any(place == "body" for place, _ in self.parameters):
            return self._question(path, query, headers, "application/json", json.dumps(body).encode())
        if self.form_ids():
            return self._question(path, query, headers, FORM, urlencode(self._form(values)).encode())
        return self._question(path, query, headers, *RAW_BODIES.get(self.key, ("", b"")))

    def _form(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What is typed into it: the ids that are asked about, words that pass, and the button."""
        names = [name for place, name in self.parameters if place == "form"]
        typed = {name: PLAIN[name] for name in names if name in PLAIN and name not in NARROWING}
        asked = {name: values[name] for name in self.form_ids() if name in values}
        return typed | asked | dict(self.pressed)

    def _question(
        self, path: str, query: Mapping[str, Any], headers: list[tuple[str, str]], kind: str, body: bytes
    ) -> Question:
        typed = [*headers, ("content-type", kind)] if kind else headers
        return Question(self.method, path, urlencode(query), tuple(typed), body)

    def _plain(self, name: str) -> Any:
        if (here := self._here(name)) is not None:
            return here
        if name in PLAIN:
            return PLAIN[name]
        if kind_of(name) in IDS:
            return made_up("00000000-0000-4000-8000-000000000000")
        raise UnknownParameter(self, name)


def known(route: Route, place: str, name: str) -> None:
    """Raises UnknownParameter."""
    if place == "form" and name in FORM_WORDS:
        return
    if not (name in PLAIN or kind_of(name) in IDS or name in CURSORS):
        raise UnknownParameter(route, name)


def kind_of(name: str) -> str:
    """Which of IDS a parameter is, whatever it is called."""
    return OTHER_NAMES.get(name, name)


def routes_of(app: FastAPI) -> list[Route]:
    """Every endpoint of the app, hidden ones included. Raises UnknownParameter."""
    found = []
    for context in iter_route_contexts(app.routes):
        dependant = getattr(context, "dependant", None)
        path = context.path
        if path is None or not context.methods:
            continue  # a mount: files of the package, the same for everybody
        parameters, lists = _parameters(dependant) if dependant is not None else ((), frozenset())
        for method in sorted(context.methods - {"HEAD"}):
            route = Route(method, path, parameters, lists)
            for place, name in parameters:
                known(route, place, name)
            found += [
                replace(route, pressed=tuple(button.items())) for button in BUTTONS.get(route.key, [{}])
            ]
    return found


def _parameters(dependant: Any) -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    found = [(type(field.field_info).__name__.lower(), field.alias) for field in get_flat_params(dependant)]
    lists = set()
    for parameter in dependant.body_params:
        if isinstance(parameter.field_info, kinds.Form):
            found.append(("form", parameter.alias))
            continue
        for name, annotation in _fields(parameter.field_info.annotation):
            found.append(("body", name))
            if get_origin(annotation) is list:
                lists.add(name)
    return tuple(found), frozenset(lists)


def _fields(annotation: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a body's model; those that may be left out are filled in too."""
    for part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            for name, field in part.model_fields.items():
                yield field.alias or name, next(iter(_parts(field.annotation)), None)


def _parts(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [part for part in get_args(annotation) if part is not NoneType]
    return [annotation]


def is_uuid(value: str) -> bool:
    """Whether it has a UUID's form."""
    return UUID.fullmatch(value) is not None


def made_up(value: str) -> str:
    """Something of the same shape that nobody has."""
    if is_uuid(value):
        alphabets: tuple[str, ...] = ("0123456789abcdef",)
    else:
        alphabets = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
    version = 14 if is_uuid(value) else -1  # keeps its place, so that it is a random UUID too
    return "".join(
        letter if at == version else secrets.choice(next((a for a in alphabets if letter in a), letter))
        for at, letter in enumerate(value)
    )


@dataclass(frozen=True)
class Probe:
    """One route, one of its parameters, and another member's value for it."""

    route: Route
    name: str
    value: str
    others: tuple[tuple[str, str], ...]
    """The route's other parameters of the kind, with things of the asker's own."""

    def pair(self) -> tuple[Question, Question, str]:
        """The request with the value, the same with one that nobody has, and that one."""
        absent = made_up(self.value)
        own = dict(self.others)
        return (
            self.route.asked(own | {self.name: self.value}),
            self.route.asked(own | {self.name: absent}),
            absent,
        )


def probes_of(
    routes: list[Route], ids: Mapping[str, list[str]], own: Mapping[str, list[str]], *, every_kind: bool
) -> list[Probe]:
    """Every id of a member in every parameter that takes such, beside things of the asker's `own`.

    With `every_kind`, all ids of other kinds too; else one of each.
    """
    found = []
    for route in routes:
        for name in route.ids():
            values = list(ids[kind_of(name)])
            for kind, others in ids.items():
                alike = [other for other in others if is_uuid(other) == is_uuid(values[0])]
                if kind != kind_of(name):
                    values += alike if every_kind else alike[:1]
            needed = [each for each in route.ids() if each not in NARROWING or each in route.form_ids()]
            beside = [each for each in needed if each != name]
            own_beside = tuple((each, own[kind_of(each)][0]) for each in beside)
            found += [Probe(route, name, value, own_beside) for value in values]
    return found


def difference(theirs: Answer, absent: Answer, value: str, made: str) -> str | None:
    """How the answer on another member's thing differs from that on nothing; None where it does not."""
    one, other = _bare(theirs, value), _bare(absent, made)
    if one == other:
        return None
    return f"told apart: {one} is not {other}"


def _bare(answer: Answer, value: str) -> Answer:
    """Without what is this answer's alone: its id, the date, a form's next key, and the name that was asked for."""
    body = re.sub(rb'"request_id":"[0-9a-f]{32}"', b'"request_id":""', answer.body)
    body = re.sub(rb'(name="key" value=")[^"]*', rb"\1", body)
    headers = tuple((k, v) for k, v in answer.headers if k not in ("date", "x-request-id"))
    return replace(answer, body=body.replace(value.encode(), b"<asked for>"), headers=headers)
