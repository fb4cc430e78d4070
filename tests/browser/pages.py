"""Every page of the studio, from its route table: a new page is visited without being named here.

A parameter that names a member's thing is filled in with one of theirs (`tests/security/parameters.py` knows it).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.security.parameters import PLAIN, PUBLIC
from tests.security.routes import kind_of

NO_PAGES = ("/api/", "/transfer/", "/webhooks/", "/openapi.json", "/healthz", "/docs")
"""Not ours to look at: what programs ask for, and /docs, which is Swagger UI's own page."""
ONLY_ADMINS = ("/admin", "/components")
NOBODYS = "00000000-0000-4000-8000-000000000000"
PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


@dataclass(frozen=True)
class Place:
    """A page as it can be visited."""

    path: str
    public: bool = False
    """Whether it is for people who are not signed in."""
    of_a_member: bool = False
    """Whether it shows a thing of one member's."""
    status: int = 200
    """What it answers with; a page of something that nobody has is the page that says so."""

    @property
    def for_admins(self) -> bool:
        """Whether only an admin may look."""
        return self.path.startswith(ONLY_ADMINS)

    @property
    def of_members(self) -> bool:
        """Whether every member may look, and sees there what strangers don't."""
        return not self.for_admins and (self.path == "/" or not self.public)


ALSO = (
    Place("/gallery?all=1"),
    Place("/gallery?all=1&q=nothing-like-this"),
    Place("/no-such-page", status=404),
)
"""What the route table does not tell: lists with other contents, and where there is no page."""


def places(web: FastAPI, ids: Mapping[str, list[str]]) -> Iterator[Place]:
    """Every page, each parameter filled in from `ids` (a member's values by parameter)."""
    for context in iter_route_contexts(web.routes):
        if context.path and "GET" in (context.methods or ()) and not context.path.startswith(NO_PAGES):
            yield _place(context.path, ids)
    yield from ALSO


def _place(path: str, ids: Mapping[str, list[str]]) -> Place:
    names = PARAMETER.findall(path)
    for name in names:
        theirs = ids.get(kind_of(name))
        assert theirs or name in PLAIN, f"{path}: add {name!r} in tests/security/parameters.py"
    values = {name: (ids.get(kind_of(name)) or [PLAIN.get(name)])[0] for name in names}
    of_a_member = any(kind_of(name) in ids for name in names)
    filled = PARAMETER.sub(lambda found: str(values[found.group(1)]), path)
    status = 404 if NOBODYS in filled else 200
    return Place(filled, ("GET", path) in PUBLIC, of_a_member, status)
