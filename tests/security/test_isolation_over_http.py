"""Every endpoint × every parameter that names a member's thing × every such name of another member's: the answer is
that on something that does not exist. Generated from the route table; `parameters.py` says what is to be added for a
new parameter. Each kind of leak is planted once, and found.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from tests.security.asking import Answer, Question, ask
from tests.security.full_members import Studio, settings_for
from tests.security.parameters import ADMINS_ALONE, CURSORS, IDS, LISTS_OF_PAGES, OTHER_DOOR, PUBLIC
from tests.security.routes import (
    REFUSED,
    Probe,
    Route,
    UnknownParameter,
    difference,
    kind_of,
    probes_of,
    routes_of,
)

from portraitist.studio import app
from portraitist.studio.accounts.signed_in import MemberId
from portraitist.studio.http import CoreDep
from portraitist.studio.links import LinkSigner

pytestmark = pytest.mark.anyio
PRIVATE = {"private", "no-store"}
TRIES = 3
"""A zip carries the time to two seconds: two answers that differ by the clock alone are alike the next time."""


async def leaks(studio: Studio, routes: Iterable[Route] | None = None) -> list[str]:
    """Where one member can tell another's thing from nothing, or reads anything of the other's."""
    marks = studio.marks(studio.other) - studio.marks(studio.one)
    chosen = list(routes if routes is not None else routes_of(studio.web))
    found = []
    for probe in probes_of(chosen, studio.ids(studio.other), studio.ids(studio.one), every_kind=False):
        if leak := await leak_of(studio, probe, marks):
            found.append(f"{probe.route.method} {probe.route.path} with {probe.name}={probe.value}: {leak}")
    for route in chosen:
        for question in lists_of(route, await cursors(studio, route)):
            if held := marks_in(await ask(studio.web, question, studio.one.headers), marks):
                found.append(f"{route.method} {question.path}?{question.query}: {held}")
    return found


async def leak_of(studio: Studio, probe: Probe, marks: set[bytes]) -> str | None:
    """What one probe lets the first member learn of the second's."""
    told_apart = None
    for _ in range(TRIES):
        asked, made_up, absent = probe.pair()
        theirs = await ask(studio.web, asked, studio.one.headers)
        nothing = await ask(studio.web, made_up, studio.one.headers)
        if held := marks_in(theirs, marks - {probe.value.encode()}):
            return held
        told_apart = difference(theirs, nothing, probe.value, absent)
        if told_apart is None:
            break
    return told_apart


def lists_of(route: Route, foreign_cursors: list[str]) -> list[Question]:
    """Reading a route without naming anything, and from the places in the other's lists."""
    if route.method != "GET" or route.ids():
        return []
    return [route.asked({}), *(route.asked({"cursor": cursor}) for cursor in foreign_cursors)]


async def cursors(studio: Studio, route: Route) -> list[str]:
    """Places in the other member's own list."""
    if route.method != "GET" or route.ids() or not any(name in CURSORS for _, name in route.parameters):
        return []
    listed = route
    if route.path in LISTS_OF_PAGES:
        listed = replace(route, path=LISTS_OF_PAGES[route.path], parameters=(("query", "limit"),))
    answer = await ask(studio.web, listed.asked({"limit": 1}), studio.other.headers)
    following = json.loads(answer.body).get("next")
    return [following] if following else []


def marks_in(answer: Answer, marks: set[bytes]) -> str | None:
    """The first of the marks that the answer holds."""
    whole = answer.body + b"".join(value.encode("latin-1") for _, value in answer.headers)
    mark = next((mark for mark in marks if mark in whole), None)
    return None if mark is None else f"holds {mark.decode()}"


async def test_both_members_have_something_of_every_kind(full: Studio) -> None:
    for member in (full.one, full.other):
        for name, values in full.ids(member).items():
            assert values, f"{member.name} has no {name}: make one in tests/security/full_members.py"


async def test_anothers_things_are_answered_like_things_that_do_not_exist(full: Studio) -> None:
    before = full.belongings(full.other)
    assert await leaks(full) == []
    assert full.belongings(full.other) == before


async def test_the_matrix_reaches_what_is_the_members_own(full: Studio) -> None:
    """A probe that is refused for another reason proves nothing: own things must be answered differently."""

    def order(route: Route) -> tuple[bool, int, int]:
        # what ends a picture, a session or an account comes after what needs it
        method = ("GET", "PATCH", "PUT", "POST", "DELETE").index(route.method)
        return "user_id" in route.ids(), method, -route.path.count("/")

    for route in sorted(routes_of(full.web), key=order):
        if route.key in OTHER_DOOR or route.key in ADMINS_ALONE:
            continue
        for probe in probes_of([route], full.ids(full.one), full.ids(full.one), every_kind=False):
            if probe.value not in full.ids(full.one)[kind_of(probe.name)]:
                continue
            asked, made_up, absent = probe.pair()
            for token in (full.one.headers, full.host):
                before = full.belongings(full.one)
                own, nothing = await ask(full.web, asked, token), await ask(full.web, made_up, token)
                if difference(own, nothing, probe.value, absent) or full.belongings(full.one) != before:
                    break  # taking something back may say no more than that it is gone
            else:
                continue
            break
        else:
            assert not route.ids(), f"{route.method} {route.path}: own and absent are answered alike"


async def test_a_stranger_is_refused_everywhere_else_alike(full: Studio) -> None:
    for route in routes_of(full.web):
        if route.key in PUBLIC or route.key in OTHER_DOOR:
            continue
        for values in ({}, {name: full.ids(full.other)[kind_of(name)][0] for name in route.ids()}):
            for token in (
                (),
                (("authorization", "Bearer pst_" + "0" * 43),),
                (("cookie", "session=" + "0" * 43),),
            ):
                answer = await ask(full.web, route.asked(values), token)
                assert answer.status == REFUSED, (
                    f"{route.method} {route.path} answers {answer.status} to a stranger: add it to PUBLIC in "
                    f"tests/security/parameters.py with the reason, or ask who it is"
                )


async def test_nothing_of_a_members_may_be_cached_in_public(full: Studio) -> None:
    for route in routes_of(full.web):
        if route.method != "GET" or route.key in PUBLIC or route.key in OTHER_DOOR:
            continue
        values = {name: full.ids(full.one)[kind_of(name)][0] for name in route.ids()}
        answer = await ask(full.web, route.asked(values), full.one.headers)
        directives = {part.strip() for part in answer.header("cache-control").split(",")}
        if not answer.header("content-type").startswith(("application/json", "application/problem+json")):
            assert "no-store" in directives, f"{route.path}: {answer.headers}"
        assert "public" not in directives


async def test_a_pictures_bytes_come_to_its_owner_alone(full: Studio) -> None:
    [image, *_] = full.ids(full.one)["image_id"]
    question = Question("GET", f"/api/v1/images/{image}/file")
    own = await ask(full.web, question, full.one.headers)
    assert own.status == 200
    assert own.body.startswith(b"\x89PNG")
    assert {part.strip() for part in own.header("cache-control").split(",")} == PRIVATE
    for token, status in ((full.other.headers, 404), ((), 401), (full.host, 401)):
        answer = await ask(full.web, question, token)
        assert answer.status == status
        assert b"PNG" not in answer.body


async def test_a_signed_link_opens_its_own_file_for_its_own_time_only(full: Studio) -> None:
    signer = LinkSigner(full.settings.secret_key.get_secret_value(), "https://studio.example")
    own, theirs = (full.ids(member)["key"][0] for member in (full.one, full.other))
    later, past = 9_999_999_999, 1_000_000_000
    signature = signer.sign(own, later)

    def link(key: str, expires: int, signed: str) -> Question:
        return Question("GET", f"/transfer/{key}", f"expires={expires}&signature={signed}")

    opened = await ask(full.web, link(own, later, signature))
    assert opened.status == 200
    assert opened.header("cache-control") == "private, no-store"
    refused = [
        await ask(full.web, question)
        for question in (
            link(theirs, later, signature),
            link(own, later + 1, signature),
            link(own, past, signer.sign(own, past)),
            link(own, later, signature[:-1]),
            link(f"{own}/../{theirs}", later, signature),
        )
    ]
    assert {answer.status for answer in refused} == {404}
    assert len({json.loads(answer.body)["detail"] for answer in refused}) == 1


async def test_a_route_with_an_unknown_parameter_fails_and_says_what_to_add(full: Studio) -> None:
    router = APIRouter()

    @router.get("/api/v1/diaries/{diary_id}")
    async def diary(diary_id: UUID) -> None: ...

    full.web.include_router(router)
    with pytest.raises(UnknownParameter, match=r"GET /api/v1/diaries/\{diary_id\}.*'diary_id'.*Add it in"):
        routes_of(full.web)


async def test_a_route_that_asks_nobody_who_they_are_is_found(full: Studio) -> None:
    router = APIRouter()

    @router.get("/api/v1/open")
    async def wide_open() -> str:
        return "hello"

    full.web.include_router(router)
    with pytest.raises(AssertionError, match="/api/v1/open answers 200 to a stranger"):
        await test_a_stranger_is_refused_everywhere_else_alike(full)


def planted(router: APIRouter, kind: str) -> None:
    """Endpoints as a hurried developer writes them."""
    if kind == "a query without a member":

        @router.get("/leak/{generation_id}")
        async def status(generation_id: UUID, user_id: MemberId, core: CoreDep) -> Response:
            async with core.db.system() as tx:
                found = await tx.value(
                    "select status from generation_trackers where id = %s", (generation_id,)
                )
            return Response(found or "nothing", 200 if found else 404)

    elif kind == "a guessable key":

        @router.get("/leak/{key:path}")
        async def stored(key: str, user_id: MemberId, core: CoreDep) -> Response:
            there = await core.objects.head(key)
            return Response(await core.objects.get(key) if there else b"", 200 if there else 404)

    elif kind == "another member's word for it":

        @router.get("/leak/{user_id}")
        async def whoever(user_id: str, _who: MemberId, core: CoreDep) -> Any:
            async with core.db.member(user_id) as tx:
                return await tx.value("select count(*) from ai_images")

    elif kind == "a field of a form":

        @router.post("/leak")
        async def kept(user_id: MemberId, core: CoreDep, id: Annotated[list[UUID], Form()]) -> Response:  # noqa: A002
            async with core.db.system() as tx:
                found = await tx.value("select count(*) from ai_images where id = any(%s)", (id,))
            return Response(str(found))

    elif kind == "a header that tells":

        @router.get("/leak/{image_id}")
        async def told(image_id: UUID, user_id: MemberId, request: Request) -> Response:
            known = str(image_id) in request.app.state.known
            return Response(status_code=404, headers={"etag": "x"} if known else {})

    else:

        @router.get("/leak")
        async def everything(user_id: MemberId, core: CoreDep) -> Any:
            async with core.db.system() as tx:
                return await tx.value("select array_agg(id::text) from trainings")


@pytest.mark.parametrize(
    "kind",
    [
        "a query without a member",
        "a guessable key",
        "another member's word for it",
        "a field of a form",
        "a header that tells",
        "a list of everybody's",
    ],
)
async def test_a_planted_leak_is_found(full: Studio, kind: str) -> None:
    router = APIRouter()
    planted(router, kind)
    full.web.include_router(router)
    full.web.state.known = full.ids(full.other)["image_id"]
    hole = [route for route in routes_of(full.web) if route.path.startswith("/leak")]
    assert await leaks(full, hole) != []


def test_every_kind_of_id_is_a_parameter_somewhere_or_is_left_out(full_template: Any) -> None:
    """A name in the table that no route has any more hides a route that was renamed."""
    settings = settings_for(full_template.home, "postgresql://nowhere/x")
    used = {kind_of(name) for route in routes_of(app.create(settings)) for name in route.ids()}
    assert used == set(IDS)
