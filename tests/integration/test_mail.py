"""Mail: links to one's own mailbox, word of what was done, tries that fail, and nothing that tells who is a member."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from tests.fakes.mailbox import Mailbox, mailbox
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.people import (
    ADMIN,
    ANNA,
    OTHER_PASSWORD,
    PASSWORD,
    Browser,
    browser,
    first_admin,
    joined,
)
from tests.integration.test_passkeys import answered, registered

from portraitist.kit.embedded_postgres import Server
from portraitist.studio import bootstrap
from portraitist.studio.accounts.mail.letters import announcement, pause
from portraitist.studio.accounts.mail.post import Post
from portraitist.studio.accounts.mail.smtp import Mailer, NotSent
from portraitist.studio.accounts.mail.smtp import Server as MailServer
from portraitist.studio.privacy.keeping import Keeping
from portraitist.studio.privacy.repository_timers import DueMember

pytestmark = pytest.mark.anyio


@dataclass
class Mailed:
    """A studio that sends mail, and where it arrives."""

    studio: ByHand
    box: Mailbox
    post: Post

    async def asked(self, path: str, email: str, source: str = "198.51.100.20") -> httpx2.Response:
        """Ask for a link as a stranger."""
        return await browser(self.studio, source).send("POST", f"/mail/{path}", {"email": email})

    async def delivered(self) -> list[str]:
        """Subjects of what is sent now."""
        self.box.letters.clear()
        await self.post.sweep()
        return [str(each["subject"]) for each in self.box.letters]

    async def link(self, path: str, email: str) -> str:
        """The secret of a link that was asked for."""
        assert (await self.asked(path, email)).status_code == 202
        await self.delivered()
        return self.box.secret({"sign-in": "enter", "reset": "reset"}[path])


@pytest.fixture
async def mailed(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[Mailed]:
    with mailbox() as box:
        given = {"smtp_url": box.url, "mail_from": "studio@example.org"}
        async with studio_by_hand(postgres, studio_database, tmp_path, **given) as studio:
            post = bootstrap.post(studio.settings, studio.parts.core)
            assert post is not None
            yield Mailed(studio, box, post)


async def quiet_admin(mailed: Mailed) -> Browser:
    """The first admin; what was mailed for it is out of the way."""
    admin = await first_admin(mailed.studio)
    await mailed.delivered()
    return admin


async def test_a_mailed_link_signs_in_once_and_in_time(mailed: Mailed) -> None:
    await quiet_admin(mailed)
    secret = await mailed.link("sign-in", f" {ADMIN.upper()} ")
    there = browser(mailed.studio)
    body = await there.ok("POST", "/session/link", {"link": secret})
    assert body["member"]["email"] == ADMIN
    assert (await there.ok("GET", "/me"))["role"] == "admin"
    again = await browser(mailed.studio).send("POST", "/session/link", {"link": secret})
    assert (again.status_code, again.json()["code"]) == (404, "link_not_found")
    late = await mailed.link("sign-in", ADMIN)
    mailed.studio.clock.move(timedelta(minutes=15))
    assert (await there.send("POST", "/session/link", {"link": late})).status_code == 404
    assert mailed.box.letters[0]["to"] == ADMIN
    assert mailed.box.letters[0]["from"] == "studio@example.org"


async def test_a_newer_link_spends_the_older_and_each_is_good_for_its_purpose_only(mailed: Mailed) -> None:
    admin = await quiet_admin(mailed)
    older, newer = await mailed.link("sign-in", ADMIN), await mailed.link("sign-in", ADMIN)
    there = browser(mailed.studio)
    assert (await there.send("POST", "/session/link", {"link": older})).status_code == 404
    wrong = await there.send("POST", "/password/reset", {"link": newer, "new": OTHER_PASSWORD})
    assert wrong.status_code == 404
    assert (await admin.send("POST", "/proof", {"link": newer})).status_code == 404
    assert (await there.send("POST", "/session/link", {"link": newer})).is_success


async def test_a_mailed_link_sets_a_new_password(mailed: Mailed) -> None:
    admin = await quiet_admin(mailed)
    secret = await mailed.link("reset", ADMIN)
    await browser(mailed.studio).ok("POST", "/password/reset", {"link": secret, "new": OTHER_PASSWORD})
    assert (await admin.send("GET", "/me")).status_code == 401
    await admin.sign_in(ADMIN, OTHER_PASSWORD)
    assert await mailed.delivered() == ["Your password was changed", "Somebody has signed in as you"]


async def test_a_mailbox_is_no_passkey(mailed: Mailed) -> None:
    admin = await quiet_admin(mailed)
    key = await registered(admin)
    await admin.ok("PUT", "/second-factor", {"passkey_needed": True})
    there, secret = browser(mailed.studio), await mailed.link("sign-in", ADMIN)
    alone = await there.send("POST", "/session/link", {"link": secret})
    assert (alone.status_code, alone.json()["code"]) == (401, "passkey_needed")
    both = {"link": secret, "passkey": await answered(there, key)}
    assert (await there.send("POST", "/session/link", both)).is_success, "a refusal has not spent the link"
    reset = await mailed.link("reset", ADMIN)
    await there.ok("POST", "/password/reset", {"link": reset, "new": OTHER_PASSWORD})
    account = {"email": ADMIN, "password": OTHER_PASSWORD}
    assert (await there.send("POST", "/session", account)).json()["code"] == "passkey_needed"


async def test_nothing_tells_whether_anybody_has_an_address(mailed: Mailed) -> None:
    """The answer is the same, and so is what is done for it: one row, whoever it is for."""
    await quiet_admin(mailed)
    answers = []
    for number, address in enumerate((ADMIN, "nobody@example.org", "no address at all")):
        for path in ("sign-in", "reset"):
            answer = await mailed.asked(path, address, f"198.51.100.{30 + number}")
            answers.append((answer.status_code, answer.json(), sorted(answer.headers)))
    assert all(answer == answers[0] for answer in answers)
    assert mailed.studio.rows("select count(*), count(distinct kind) from mail_wishes") == [(6, 2)]
    assert mailed.studio.rows("select count(*) from mails") == [(0,)]
    assert await mailed.delivered() == ["Your link to sign in", "Your link to a new password"]
    assert mailed.studio.rows("select count(*) from mail_wishes") == [(0,)], "no address is left behind"


async def test_links_are_asked_for_now_and_then_only(mailed: Mailed) -> None:
    await quiet_admin(mailed)
    for address in (ADMIN, "nobody@example.org"):
        codes = [
            (await mailed.asked("sign-in", address, f"198.51.100.{40 + number}")).status_code
            for number in range(6)
        ]
        assert codes == [202, 202, 202, 429, 429, 429], address
    assert len(await mailed.delivered()) == 1, "one letter of a kind waits at most"
    from_one_place = [
        (await mailed.asked("reset", f"{number}@example.org")).status_code for number in range(6)
    ]
    assert from_one_place == [202, 202, 202, 429, 429, 429]


async def test_a_session_is_proved_by_a_mailed_link_of_its_own_member(mailed: Mailed) -> None:
    admin = await quiet_admin(mailed)
    anna = await joined(mailed.studio, admin, ANNA)
    mailed.studio.clock.move(timedelta(hours=1))
    await mailed.delivered()
    await anna.ok("POST", "/mail/proof")
    await mailed.delivered()
    secret = mailed.box.secret("prove")
    assert (await admin.send("POST", "/proof", {"link": secret})).json()["code"] == "link_not_found"
    anna.headers["X-CSRF-Token"] = (await anna.ok("POST", "/proof", {"link": secret}))["csrf_token"]
    await anna.ok("POST", "/recovery-codes")
    assert (await anna.send("POST", "/proof", {"link": secret})).status_code == 404


async def test_a_member_is_told_of_sign_ins_and_of_changed_credentials(mailed: Mailed) -> None:
    admin = await first_admin(mailed.studio)
    assert await mailed.delivered() == ["Somebody has signed in as you"]
    assert "with the password" in mailed.box.text()
    await registered(admin)
    await admin.ok("POST", "/recovery-codes")
    [passkey] = (await admin.ok("GET", "/passkeys"))["items"]
    await admin.ok("DELETE", f"/passkeys/{passkey['id']}")
    assert await mailed.delivered() == ["What you sign in with was changed"] * 3
    assert "registered" in mailed.box.text(0)
    assert "recovery codes" in mailed.box.text(1)
    assert "removed" in mailed.box.text(2)


async def test_photos_that_are_about_to_go_are_announced_by_mail(mailed: Mailed) -> None:
    admin = await quiet_admin(mailed)
    member, core = await admin.ok("GET", "/me"), mailed.studio.parts.core
    keeping = Keeping(core.db, core.objects, core.clock, timedelta(days=30))
    trained_at = core.clock.now() - timedelta(days=27)
    await keeping._told_or_struck(DueMember(member["id"], trained_at))
    assert await mailed.delivered() == ["Your photos will be deleted soon"]
    assert f"{trained_at + timedelta(days=30):%Y-%m-%d}" in mailed.box.text()
    assert "PUT /api/v1/account/retention" in mailed.box.text()
    await keeping._told_or_struck(DueMember(member["id"], trained_at))
    assert await mailed.delivered() == [], "told once"


async def test_a_server_that_is_away_is_tried_again_later_and_later_and_then_given_up(
    mailed: Mailed,
) -> None:
    await first_admin(mailed.studio)
    mailed.box.answers = ["451 try later"] * 3
    waits = []
    for _ in range(3):
        assert await mailed.delivered() == []
        [(due,)] = mailed.studio.rows("select next_check_at from mails")
        waits.append((due - mailed.studio.clock.now()).total_seconds())
        mailed.studio.clock.move_to(due)
    assert waits == [30, 60, 120]
    assert await mailed.delivered() == ["Somebody has signed in as you"]
    assert pause(50) == timedelta(hours=1)
    await mailed.asked("sign-in", ADMIN)
    mailed.box.answers = ["451 try later"]
    assert await mailed.delivered() == []
    mailed.studio.clock.move(timedelta(minutes=30))
    assert await mailed.delivered() == [], "nobody waits for the link any more"
    assert mailed.studio.rows("select count(*) from mails") == [(0,)]


async def test_an_address_that_is_refused_for_good_is_not_tried_again(mailed: Mailed) -> None:
    await first_admin(mailed.studio)
    mailed.box.answers = ["550 no such user"]
    assert await mailed.delivered() == []
    assert mailed.studio.rows("select count(*) from mails") == [(0,)]


async def test_a_worker_that_dies_after_sending_sends_another_link_and_the_first_is_dead(
    mailed: Mailed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    await quiet_admin(mailed)
    await mailed.asked("sign-in", ADMIN)
    send = Mailer.send

    async def dying(self: Mailer, *given: object) -> None:
        await send(self, *given)  # type: ignore[arg-type]
        raise Killed

    monkeypatch.setattr(Mailer, "send", dying)
    with pytest.raises(Killed):
        await mailed.post.sweep()
    first = mailed.box.secret("enter")
    monkeypatch.setattr(Mailer, "send", send)
    assert await mailed.delivered() == [], "it is left to the worker that had it, for a while"
    mailed.studio.clock.move(timedelta(minutes=10))
    assert await mailed.delivered() == ["Your link to sign in"]
    there = browser(mailed.studio)
    assert (await there.send("POST", "/session/link", {"link": first})).status_code == 404
    assert (await there.send("POST", "/session/link", {"link": mailed.box.secret("enter")})).is_success


async def test_no_secret_of_a_link_is_kept(mailed: Mailed) -> None:
    await quiet_admin(mailed)
    secret = await mailed.link("sign-in", ADMIN)
    tables = mailed.studio.rows(
        "select table_name from information_schema.tables where table_schema = 'public'"
    )
    for (table,) in tables:
        assert secret not in str(mailed.studio.rows(f"select t::text from {table} t")), table


async def test_a_disabled_account_is_not_opened_by_a_link_from_before(mailed: Mailed) -> None:
    admin = await quiet_admin(mailed)
    anna = await joined(mailed.studio, admin, ANNA)
    member = await anna.ok("GET", "/me")
    secret = await mailed.link("sign-in", ANNA)
    await admin.ok("PATCH", f"/admin/members/{member['id']}", {"disabled": True})
    there = browser(mailed.studio)
    assert (await there.send("POST", "/session/link", {"link": secret})).status_code == 404
    assert (await mailed.asked("sign-in", ANNA)).status_code == 202
    assert await mailed.delivered() == []


async def test_without_a_mail_server_it_is_said_and_nothing_is_kept(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    for path in ("sign-in", "reset"):
        answer = await browser(by_hand).send("POST", f"/mail/{path}", {"email": ADMIN})
        assert (answer.status_code, answer.json()["code"]) == (409, "mail_unavailable")
    assert (await admin.send("POST", "/mail/proof")).json()["code"] == "mail_unavailable"
    assert by_hand.rows("select (select count(*) from mails), (select count(*) from mail_wishes)") == [(0, 0)]
    assert PASSWORD


@pytest.mark.parametrize(
    ("url", "port", "tls"), [("smtp://u:p%40@mail.example", 587, False), ("smtps://mail.example", 465, True)]
)
def test_a_mail_server_is_named_by_an_address(url: str, port: int, tls: bool) -> None:
    server = MailServer.of(url)
    assert (server.port, server.tls, server.is_here) == (port, tls, False)
    assert server.password == ("p@" if "p%40" in url else "")


@pytest.mark.parametrize("odd", ["a,b@example.org", "a<b@example.org", "a(b)@example.org"])
async def test_an_address_that_reads_as_another_gets_nothing(mailed: Mailed, odd: str) -> None:
    """The studio takes it for one address, and so must the mail server."""
    mailer, now = mailed.post.mailer, mailed.studio.clock.now()
    with pytest.raises(NotSent, match="no mail address") as refusal:
        await mailer.send(odd, announcement("signed_in", "https://studio", now, {"how": "password"}), now)
    assert refusal.value.for_good
    assert mailed.box.letters == []


async def test_elsewhere_than_here_nothing_is_sent_in_the_clear(mailed: Mailed) -> None:
    here = MailServer.of(mailed.box.url)
    assert here.is_here

    class Elsewhere(MailServer):
        is_here = False  # type: ignore[assignment]  # as if the line led out of this machine

    away = Elsewhere(here.host, here.port, False, "", "")
    letter = announcement("signed_in", "https://studio", mailed.studio.clock.now(), {"how": "password"})
    with pytest.raises(NotSent, match="NotSupported"):
        await Mailer(away, "studio@example.org").send(ADMIN, letter, mailed.studio.clock.now())
    assert mailed.box.letters == []
