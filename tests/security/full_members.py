"""Two members who have everything a member can have, made by the studio's own services and the fake cloud.

Made once and kept as a template, database and files, so that a test starts from it in a blink.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from fastapi import FastAPI
from PIL import Image
from tests.fakes.push_service import ORIGIN as PUSHES
from tests.fakes.push_service import PushedBrowser
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.conftest import INSTANCE_TOKEN, Member
from tests.integration.people import PASSWORD, Browser, browser, first_admin, joined
from tests.integration.test_passkeys import registered
from tests.photos import astronaut_selfies
from tests.security.parameters import IDS
from tests.studio_database import APP_PASSWORD

from portraitist.kit.embedded_postgres import Server
from portraitist.studio import app
from portraitist.studio.config import StudioSettings

Headers = tuple[tuple[str, str], ...]
NAMES = ("anna", "bela")
HOOKS = "http://hooks.studio"
BUSY = {"webhooks_url": HOOKS, "trainings_in_flight": 50, "generations_in_flight": 50}
LONG_ENOUGH = 16
"""Shorter values stand in other members' answers by chance."""


@dataclass(frozen=True)
class FullMember:
    """Who they are, and the headers by which they are signed in: a session's, which may do more than a token."""

    id: str
    name: str
    headers: Headers


@dataclass
class Studio:
    """A studio's web app on a database with both members in it; `superuser` sees everything."""

    web: FastAPI
    one: FullMember
    other: FullMember
    superuser: psycopg.Connection[tuple[Any, ...]]
    settings: StudioSettings
    host: Headers = (("authorization", f"Bearer {INSTANCE_TOKEN}"),)
    _ids: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def ids(self, member: FullMember) -> Mapping[str, list[str]]:
        """Every value that the member has for every parameter of `routes.IDS`."""
        if member.id not in self._ids:
            self._ids[member.id] = {
                name: [row[0] for row in self.rows(query, *[member.id] * query.count("%s"))]
                for name, query in IDS.items()
            }
        return self._ids[member.id]

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """What the superuser sees."""
        return self.superuser.execute(sql.encode(), params or None).fetchall()

    def tables_with_members(self) -> list[str]:
        """Tables of the studio whose rows belong to a member."""
        return [
            row[0]
            for row in self.rows(
                """select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
                   where a.attname = 'user_id' and c.relkind in ('r', 'p') and not a.attisdropped
                       and c.relnamespace = 'public'::regnamespace and c.relname not in ('jobs', 'job_workers')
                   order by 1"""
            )
        ]

    def belongings(self, member: FullMember) -> str:
        """A digest of every row of the member's, to see that nobody changed any."""
        digest = hashlib.sha256()
        for table in self.tables_with_members():
            for row in self.rows(f"select t::text from {table} t where user_id = %s order by 1", member.id):
                digest.update(f"{table} {row[0]}\n".encode())
        for row in self.rows("select u::text from users u where id = %s", member.id):
            digest.update(row[0].encode())
        return digest.hexdigest()

    def marks(self, member: FullMember) -> set[bytes]:
        """What no other member's answer may hold: names, ids, keys, digests and words of the member's."""
        found = {member.id, member.name, f"{member.name} in the rain"}
        for values in self.ids(member).values():
            found |= set(values)
        for table in self.tables_with_members():
            for column, kind in self.rows(
                """select attname, atttypid::regtype::text from pg_attribute
                   where attrelid = %s::regclass and attnum > 0 and not attisdropped
                       and atttypid in ('uuid'::regtype, 'bytea'::regtype)""",
                table,
            ):
                text = f"encode({column}, 'hex')" if kind == "bytea" else f"{column}::text"
                found |= {
                    row[0]
                    for row in self.rows(
                        f"select distinct {text} from {table} where user_id = %s and {column} is not null",
                        member.id,
                    )
                }
        return {mark.encode() for mark in found if len(mark) >= LONG_ENOUGH or mark == member.id}


async def fill(server: Server, database: str, home: Path, photos: Path) -> tuple[FullMember, FullMember]:
    """Make both members in a migrated database; their files lie in the home."""
    async with studio_by_hand(server, database, home, **BUSY) as studio:
        admin = await first_admin(studio)
        members = [await _with_everything(studio, admin, name, photos / name) for name in NAMES]
    return members[0], members[1]


async def _with_everything(studio: ByHand, admin: Browser, name: str, photos: Path) -> FullMember:
    """Photos taken and refused, a trained and a waiting version, pictures made and being made, a webhook, an album."""
    email = f"{name}-of-the-matrix@example.org"
    here = await joined(studio, admin, email)
    member = await _member(studio, here)
    await _looked_at(admin, member)
    await member.consent()
    judged = await member.upload(photos)
    assert {item["status"] for item in judged} == {"accepted", "rejected"}, judged
    await here.ok("PUT", "/notices/push", PushedBrowser(f"{PUSHES}/send/{name}").to_json())
    await here.ok("PUT", "/notices/ways", {"mail": True, "push": True})
    await _half_way(member)
    await studio.trained(member)
    await studio.copy_weights()
    asked = await member.post("/api/v1/generations", {"prompt": f"{name} in the rain"})
    made = await studio.until(member, f"/api/v1/generations/{asked['id']}", "completed")
    studio.clock.move(timedelta(minutes=1))
    for look in ("alpine-pass", "ferry-deck"):  # one is there to be taken out of the list
        await member.post("/api/v1/photoshoot/sets", {"collection": "travel", "look": look})
    await member.post("/api/v1/trainings")
    await member.post("/api/v1/generations", {"prompt": f"{name} in the rain"})
    await _told(studio, member)
    await member.http.put("/api/v1/account/retention", json={"keep_photos": True})
    for device in ("phone", "laptop"):  # of what may be ended, two: by the API, and by the page
        await registered(here, name=device)
    await here.ok("POST", "/tokens", {"name": "to be taken back", "scopes": ["read"]})
    await here.ok("POST", "/recovery-codes")
    studio.run(
        """insert into identities (user_id, id, issuer, subject, created_at)
           select %s, gen_random_uuid(), 'https://id.example.org', %s || n, now() from generate_series(1, 2) n""",
        member.id,
        f"the-subject-of-{name}",
    )
    await _talked(studio, member, name)
    await _sorted(member, name, [image["id"] for image in made["images"]])
    await browser(studio).sign_in(email)
    there = browser(studio)  # a third session, which the tests use; the others are there to be ended
    await there.sign_in(email)
    cookie = f"session={there.http.cookies['session']}"
    headers = (("cookie", cookie), ("x-csrf-token", there.headers["X-CSRF-Token"]))
    return FullMember(member.id, email, headers)


async def _member(studio: ByHand, here: Browser) -> Member:
    """The member by a token of their own, as the other tests know one."""
    issued = await here.ok("POST", "/tokens", {"name": "the matrix", "scopes": ["full"]})
    client = httpx2.AsyncClient(
        transport=studio.http._transport,
        base_url="http://studio",
        headers={"Authorization": f"Bearer {issued['token']}"},
    )
    return Member((await here.ok("GET", "/me"))["id"], client)


async def _looked_at(admin: Browser, member: Member) -> None:
    """An admin has broken the glass, and looked at what there is."""
    proved = await admin.ok("POST", "/proof", {"password": PASSWORD})
    admin.headers["X-CSRF-Token"] = proved["csrf_token"]
    reason = {"reason": f"To see whether the matrix finds {member.id}."}
    glass = await admin.ok("POST", f"/admin/members/{member.id}/break-glass", reason)
    await admin.ok("GET", f"/admin/break-glass/{glass['id']}")


async def _half_way(member: Member) -> None:
    """A photo of which the first half has come."""
    begun = await member.post("/api/v1/uploads", {"file_name": "half.jpg", "length": 1000})
    answer = await member.http.patch(
        f"/api/v1/uploads/{begun['id']}", content=b"x" * 500, headers={"Upload-Offset": "0"}
    )
    assert answer.json()["offset"] == 500, answer.text


async def _talked(studio: ByHand, member: Member, name: str) -> None:
    """A conversation with cards, one of them shot, a style and two notes: one is there to be forgotten."""
    talk = await member.post("/api/v1/maya/chats")
    turn = await member.post(f"/api/v1/maya/chats/{talk['id']}/messages", {"words": f"{name} in the rain"})
    await member.post(f"/api/v1/maya/cards/{turn['answer']['cards'][0]['id']}/shoot")
    await member.post("/api/v1/maya/chats")  # one is there to be deleted
    for liked in ("rain", "snow"):
        await member.post("/api/v1/maya/memory", {"note": f"{name} likes the {liked}"})
    await member.http.put("/api/v1/maya/style", json={"limits": f"{name} in the rain only"})
    studio.run(  # what an answer took is only written where a language model is set
        "insert into maya_usage (user_id, id, tokens, cost_micros, created_at) "
        "values (%s, gen_random_uuid(), 900, 1200, now())",
        member.id,
    )


async def _sorted(member: Member, name: str, images: list[str]) -> None:
    """Two albums with a picture in each, a favourite, and a deleted picture that can be had back."""
    for number in (1, 2):
        album = await member.post("/api/v1/albums", {"name": f"{name}'s album number {number}"})
        await member.post(f"/api/v1/albums/{album['id']}/images", {"ids": images[:1]})
    await member.http.patch(f"/api/v1/images/{images[1]}", json={"favourite": True})
    await member.post("/api/v1/images/delete", {"ids": images[2:]})


async def _told(studio: ByHand, member: Member) -> None:
    """The provider sends one webhook about the member's finished training."""
    [run] = [run for run in studio.cloud.trainings() if member.id in run.destination]
    url, headers, body = studio.cloud.webhook_of(run, f"late-{member.id}", studio.clock.now())
    answer = await studio.http.post(url.removeprefix(HOOKS), content=body, headers=headers)
    assert answer.status_code == 200, answer.text


def photos_of_both(folder: Path) -> Path:
    """Ten good photos of each, the second member's mirrored, and a file of each that is no photo."""
    one, other = (folder / name for name in NAMES)
    other.mkdir(parents=True)
    for path in astronaut_selfies(one, count=10):
        with Image.open(path) as photo:
            photo.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
                other / f"{path.stem}.jpg", quality=95
            )
    for name in NAMES:
        (folder / name / "zz.txt").write_text(f"no photo of {name}")
    return folder


def settings_for(home: Path, database_url: str, **changes: Any) -> StudioSettings:
    """A studio that reaches no provider and whose members may ask as often as they like."""
    given: dict[str, Any] = {
        "portraitist_home": home,
        "database_url": database_url,
        "replicate_base_url": "http://127.0.0.1:9",
        "replicate_api_token": "token-in-tests",
        "replicate_username": "studio",
        "instance_token": INSTANCE_TOKEN,
        "secret_key": "secret-in-tests",
        "member_reads_per_minute": 10**9,
        "member_writes_per_minute": 10**9,
    }
    return StudioSettings(**(given | changes))


@asynccontextmanager
async def opened(
    server: Server, database: str, home: Path, members: tuple[FullMember, FullMember], **changes: Any
) -> AsyncIterator[Studio]:
    """The web app on a database that `fill` has filled."""
    settings = settings_for(home, server.url(database, "app", APP_PASSWORD), **changes)
    web = app.create(settings)
    async with web.router.lifespan_context(web):
        with psycopg.connect(server.url(database), autocommit=True) as superuser:
            yield Studio(web, *members, superuser, settings)


def filled(server: Server, database: str, folder: Path) -> tuple[FullMember, FullMember]:
    """`fill` for callers without an event loop; photos and files lie in the folder."""
    photos = photos_of_both(folder / "photos")
    return asyncio.run(fill(server, database, folder / "home", photos))
