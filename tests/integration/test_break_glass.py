"""An admin sees a member's photos and pictures only by break-glass: with a reason, freshly signed in, for a quarter of
an hour, reading; and the member sees who, when, why and what.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member
from tests.integration.people import PASSWORD, Browser, first_admin
from tests.integration.test_privacy_erasure import with_pictures
from tests.studio_database import APP_PASSWORD

from portraitist.kit.embedded_postgres import Server

pytestmark = pytest.mark.anyio
REASON = "Anna asked on the phone why her pictures are broken."


@dataclass
class Scene:
    """A member with photos and pictures, and an admin."""

    studio: ByHand
    admin: Browser
    anna: Member

    async def prove(self) -> None:
        """Virtual time has gone on while a model was trained: the admin types the password again."""
        proved = await self.admin.ok("POST", "/proof", {"password": PASSWORD})
        self.admin.headers["X-CSRF-Token"] = proved["csrf_token"]

    async def open(self) -> Any:
        return await self.admin.ok("POST", f"/admin/members/{self.anna.id}/break-glass", {"reason": REASON})

    async def things(self, glass: Any) -> list[Any]:
        items: list[Any] = (await self.admin.ok("GET", f"/admin/break-glass/{glass['id']}"))["items"]
        return items

    async def look(self, glass: Any, thing: Any, who: Browser | None = None) -> Any:
        path = f"/admin/break-glass/{glass['id']}/{thing['kind']}/{thing['id']}"
        return await (who or self.admin).send("GET", path)

    async def seen(self) -> Any:
        return (await self.anna.get("/api/v1/account/openings"))["items"]

    def end(self) -> None:
        """A quarter of an hour passes, on the database's clock."""
        earlier = "opened_at = opened_at - interval '16 min', ends_at = ends_at - interval '16 min'"
        self.studio.run(f"update break_glass set {earlier}")


@pytest.fixture
async def scene(by_hand: ByHand) -> Scene:
    admin = await first_admin(by_hand)
    anna = await with_pictures(by_hand)
    await admin.ok(
        "POST", "/proof", {"password": PASSWORD}
    )  # virtual time has gone on while the model was trained
    admin.headers["X-CSRF-Token"] = (await admin.ok("GET", "/session"))["csrf_token"]
    return Scene(by_hand, admin, anna)


async def test_what_is_opened_is_shown_and_the_member_sees_who_when_why_and_what(scene: Scene) -> None:
    glass = await scene.open()
    things = await scene.things(glass)
    assert sorted(each["kind"] for each in things) == ["photo"] * 10 + ["picture"] * 3
    [picture, *_] = [each for each in things if each["kind"] == "picture"]
    [photo, *_] = [each for each in things if each["kind"] == "photo"]
    shown = [await scene.look(glass, picture), await scene.look(glass, photo)]
    assert [each.status_code for each in shown] == [200, 200]
    assert shown[0].content == (await scene.anna.http.get(f"/api/v1/images/{picture['id']}/file")).content
    assert shown[1].content.startswith(f"a photo of {scene.anna.id}".encode())
    assert shown[1].headers["content-type"] == "image/jpeg"
    assert "no-store" in shown[0].headers["cache-control"]

    [seen] = await scene.seen()
    assert (seen["reason"], seen["role"]) == (REASON, "an admin")
    assert [(view["kind"], view["thing_id"]) for view in seen["views"]] == [
        ("list", None),
        ("picture", picture["id"]),
        ("photo", photo["id"]),
    ]
    told = (await scene.anna.get("/api/v1/account/events", limit=4))["items"]
    assert [each["action"] for each in reversed(told)] == [
        "break_glass.opened",
        "break_glass.listed",
        "break_glass.used",
        "break_glass.used",
    ]
    assert {(each["actor"], each["actor_id"]) for each in told} == {("admin", seen["admin"])}


async def test_after_a_quarter_of_an_hour_or_when_it_was_ended_nothing_shows(scene: Scene) -> None:
    glass = await scene.open()
    [thing, *_] = await scene.things(glass)
    await scene.admin.ok("DELETE", f"/admin/break-glass/{glass['id']}")
    assert (await scene.look(glass, thing)).json()["code"] == "glass_not_found"
    other = await scene.open()
    scene.end()
    for answer in (
        await scene.look(other, thing),
        await scene.admin.send("GET", f"/admin/break-glass/{other['id']}"),
        await scene.admin.send("DELETE", f"/admin/break-glass/{other['id']}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "glass_not_found")
    assert [len(each["views"]) for each in await scene.seen()] == [0, 1], "what is refused is no look"


async def test_a_glass_shows_one_members_things_to_one_admin(scene: Scene) -> None:
    bela = await with_pictures(scene.studio, "name:bela")
    await scene.prove()
    glass = await scene.open()
    [(theirs,)] = scene.studio.rows("select id::text from ai_images where user_id = %s limit 1", bela.id)
    answer = await scene.look(glass, {"kind": "picture", "id": theirs})
    assert (answer.status_code, answer.json()["code"]) == (404, "thing_not_found")
    assert {each["id"] for each in await scene.things(glass)}.isdisjoint({theirs})

    from tests.integration.people import BEN, joined

    ben = await joined(scene.studio, scene.admin, BEN)
    await scene.admin.ok("PATCH", f"/admin/members/{(await ben.ok('GET', '/me'))['id']}", {"role": "admin"})
    await ben.sign_in(BEN)
    [thing, *_] = await scene.things(glass)
    assert (await scene.look(glass, thing, ben)).json()["code"] == "glass_not_found"
    assert (await scene.look(glass, thing)).status_code == 200


async def test_no_reason_no_fresh_sign_in_no_session_no_admin_no_glass(scene: Scene) -> None:
    path = f"/admin/members/{scene.anna.id}/break-glass"
    assert (await scene.admin.send("POST", path, {"reason": "because"})).status_code == 422
    token = await scene.admin.ok("POST", "/tokens", {"name": "t", "scopes": ["full", "admin"]})
    by_token = await scene.studio.http.post(
        f"/api/v1{path}", json={"reason": REASON}, headers={"Authorization": f"Bearer {token['token']}"}
    )
    assert by_token.json()["code"] == "session_needed"
    host = await scene.studio.operator("POST", f"/api/v1{path}", json={"reason": REASON})
    assert host.status_code == 401
    mine = await scene.anna.http.post(f"/api/v1{path}", json={"reason": REASON})
    assert mine.status_code == 403
    scene.studio.clock.move(timedelta(minutes=11))
    stale = await scene.admin.send("POST", path, {"reason": REASON})
    assert stale.json()["code"] == "fresh_sign_in_needed"
    assert await scene.seen() == []


async def test_an_unknown_member_has_no_glass(scene: Scene) -> None:
    answer = await scene.admin.send("POST", "/admin/members/zzzzzzzzzzzz/break-glass", {"reason": REASON})
    assert (answer.status_code, answer.json()["code"]) == (404, "member_not_found")


# what the database itself says


@pytest.fixture
def app(postgres: Server, studio_database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(postgres.url(studio_database, "app", APP_PASSWORD), autocommit=True) as conn:
        yield conn


def through(
    app: psycopg.Connection[tuple[Any, ...]], glass: Any, admin: str, query: str, *params: Any
) -> list[tuple[Any, ...]]:
    with app.transaction(force_rollback=True):
        app.execute(
            "select set_config('role', 'breakglass', true), set_config('app.glass', %s, true), "
            "set_config('app.admin', %s, true)",
            (str(glass), str(admin)),
        )
        cursor = app.execute(query.encode(), params or None)
        return cursor.fetchall() if cursor.description else []


COUNT = "select (select count(*) from ai_images), (select count(*) from selfies)"


def shows(app: psycopg.Connection[tuple[Any, ...]], glass: Any, admin: str) -> tuple[int, int]:
    [(pictures, photos)] = through(app, glass, admin, COUNT)
    return pictures, photos


async def test_the_role_sees_through_an_open_glass_of_its_admin_only_and_changes_nothing(
    scene: Scene, app: psycopg.Connection[tuple[Any, ...]]
) -> None:
    await with_pictures(scene.studio, "name:bela")
    await scene.prove()
    glass = await scene.open()
    none, nobody = "00000000-0000-4000-8000-000000000000", ""
    assert shows(app, glass["id"], glass["admin"]) == (3, 10)
    for asked in ((none, glass["admin"]), (glass["id"], none), (nobody, nobody)):
        assert shows(app, *asked) == (0, 0)
    for statement in (
        "select words from ai_images",
        "select file_name from selfies",
        "select prompt from generation_trackers",
        "select reason from break_glass",
        "select id from users",
        "update ai_images set saved = true",
        "delete from selfies",
        "delete from ai_images",
        "delete from break_glass_views",
        "update break_glass set ends_at = now() + interval '1 day'",
        "insert into break_glass (user_id, id, admin, subject, reason) select user_id, gen_random_uuid(), admin, "
        "subject, 'another one for me' from break_glass",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            through(app, glass["id"], glass["admin"], statement)
    scene.end()
    assert shows(app, glass["id"], glass["admin"]) == (0, 0)


async def test_an_admins_own_role_takes_no_look_back(
    scene: Scene, app: psycopg.Connection[tuple[Any, ...]]
) -> None:
    await scene.open()
    for statement in (
        "delete from break_glass",
        "delete from break_glass_views",
        "update break_glass set reason = 'nothing of the kind'",
        "update break_glass set opened_at = now() - interval '1 year'",
        "insert into break_glass (user_id, id, admin, subject, reason, ends_at) select user_id, gen_random_uuid(), "
        "admin, subject, reason, now() + interval '1 day' from break_glass",
    ):
        with app.transaction(force_rollback=True), pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("set local role registrar")
            with app.transaction():
                app.execute(statement.encode())


@pytest.mark.parametrize(
    "hole",
    [
        "create policy wide on ai_images for select to breakglass using (true)",
        "create policy wide on break_glass for select to breakglass using (true)",
        "grant delete on ai_images to breakglass",
        "grant select (words) on ai_images to breakglass",
        "drop policy own_glass on break_glass; create policy own_glass on break_glass for select to breakglass "
        "using (id = nullif(current_setting('app.glass', true), '')::uuid and ended_at is null)",
    ],
)
async def test_a_planted_hole_in_the_glass_is_found(
    scene: Scene, app: psycopg.Connection[tuple[Any, ...]], hole: str
) -> None:
    scene.studio.run(hole)
    with pytest.raises((AssertionError, pytest.fail.Exception, psycopg.errors.CardinalityViolation)):
        await test_the_role_sees_through_an_open_glass_of_its_admin_only_and_changes_nothing(scene, app)
