"""Everything of a member's is erased, at the provider too, whenever it is asked for, and a receipt says so."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member
from tests.integration.people import PASSWORD, first_admin, joined

from portraitist.studio.errors import NotSignedIn
from portraitist.studio.generation import service as generation
from portraitist.studio.privacy.domain import LOOKS
from portraitist.studio.prompting.refusing import Refusals

pytestmark = pytest.mark.anyio
WORDS = "a xylophone in a marzipan meadow"
WAYS = ("submitting", "submitted", "training", "extracting", "verifying", "completed")


async def erased(studio: ByHand, member: Member, **body: Any) -> str:
    """Ask for it; the receipt's token."""
    answer = await member.http.request("DELETE", "/api/v1/account", json=body)
    assert answer.status_code == 202, answer.text
    token: str = answer.json()["receipt_token"]
    return token


async def receipt_of(studio: ByHand, token: str) -> Any:
    answer = await studio.http.get("/api/v1/receipt", headers={"Receipt-Token": token})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def step(studio: ByHand) -> bool:
    """The soonest erasure, or run, has its turn, at its time; False where nothing is left to do."""
    waiting = studio.rows("select id, user_id, next_check_at from erasures order by next_check_at limit 1")
    runs = studio.due()
    if runs and (not waiting or runs[0][3] <= waiting[0][2]):
        return await studio.step()
    if not waiting:
        return await studio.step()
    row_id, user_id, when = waiting[0]
    studio.clock.move_to(when)
    await studio.parts.eraser.advance(str(row_id), user_id)
    return True


async def until_done(studio: ByHand, token: str) -> Any:
    for _ in range(2000):
        receipt = await receipt_of(studio, token)
        if receipt["stage"] == "done":
            return receipt
        assert await step(studio), receipt
    raise AssertionError(receipt)


def files_of(studio: ByHand) -> list[Path]:
    return [
        path for path in (studio.settings.portraitist_home / "objects/members").rglob("*") if path.is_file()
    ]


def traces(studio: ByHand, *markers: str) -> list[str]:
    """Where a marker still stands: any column of any table, any file's name or bytes, the provider's models."""
    return [*_in_tables(studio, markers), *_in_files(studio, markers), *_at_provider(studio, markers)]


def _in_tables(studio: ByHand, markers: tuple[str, ...]) -> Iterator[str]:
    tables = studio.rows(
        "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
    )
    for (table,) in tables:
        for (row,) in studio.rows(f"select t::text from {table} t"):
            yield from (f"{table}: {row}" for marker in markers if marker in row)


def _in_files(studio: ByHand, markers: tuple[str, ...]) -> Iterator[str]:
    for path in (studio.settings.portraitist_home / "objects").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        yield from (str(path) for marker in markers if marker in str(path) or marker.encode() in data)


def _at_provider(studio: ByHand, markers: tuple[str, ...]) -> Iterator[str]:
    held = {name for name, found in studio.cloud.versions.items() if found or name in studio.cloud.models}
    yield from (f"provider: {name}" for name in held for marker in markers if marker in name)


def counts(receipt: Any) -> dict[tuple[str, str], int | None]:
    return {(line["kind"], line["outcome"]): line["count"] for line in receipt["artefacts"]}


async def with_pictures(studio: ByHand, handle: str = "name:anna") -> Member:
    """A member with a trained version, a copy of its weights, three pictures, and an album."""
    member = await studio.member(handle)
    await studio.trained(member)
    await studio.copy_weights()
    asked = await member.post("/api/v1/generations", {"prompt": WORDS})
    made = await studio.until(member, f"/api/v1/generations/{asked['id']}", "completed")
    album = await member.post("/api/v1/albums", {"name": "marzipan"})
    await member.post(f"/api/v1/albums/{album['id']}/images", {"ids": [made["images"][0]["id"]]})
    return member


async def test_an_erased_account_leaves_nothing_in_tables_files_or_at_the_provider(by_hand: ByHand) -> None:
    anna, bela = await with_pictures(by_hand), await by_hand.member("name:bela")
    before = len(files_of(by_hand))
    token = await erased(by_hand, anna)

    receipt = await until_done(by_hand, token)

    assert traces(by_hand, anna.id, "marzipan", "name:anna") == []
    assert before > len(files_of(by_hand)) == 10, "the other member's photos stay"
    assert (await bela.get("/api/v1/selfies"))["items"]
    said = counts(receipt)
    assert said["photo", "deleted"] == 10
    assert said["picture", "deleted"] == 3
    assert said["copy of weights", "deleted"] == 1
    assert said["model", "deleted"] == said["model version", "deleted"] == 1
    assert said["row of users", "deleted"] == 1
    assert said["record of a run", "not_deletable"] == 3
    assert not [line for line in receipt["artefacts"] if line["outcome"] == "accepted"]
    assert all(line["why"] for line in receipt["artefacts"] if line["outcome"] != "deleted")


@pytest.mark.parametrize("status", WAYS)
async def test_a_training_is_erased_from_every_stage(by_hand: ByHand, status: str) -> None:
    anna = await by_hand.member()
    training = await anna.post("/api/v1/trainings")
    for _ in range(500):
        [(now_in,)] = by_hand.rows("select status from trainings where id = %s", training["id"])
        if now_in == status or not await by_hand.step():
            break
    token = await erased(by_hand, anna)

    receipt = await until_done(by_hand, token)

    assert traces(by_hand, anna.id, "name:anna") == []
    assert receipt["finished_at"] is not None
    assert all(run.shown["status"] in ("succeeded", "canceled") for run in by_hand.cloud.trainings())


async def test_a_model_that_was_made_for_a_start_that_never_began_goes_too(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await anna.post("/api/v1/trainings")
    by_hand.cloud.models[f"{by_hand.cloud.username}/{anna.id}-selfie-lora"] = {"visibility": "private"}
    by_hand.cloud.versions[f"{by_hand.cloud.username}/{anna.id}-selfie-lora"] = []

    await until_done(by_hand, await erased(by_hand, anna))

    assert traces(by_hand, anna.id) == []
    assert by_hand.cloud.trainings() == []


async def test_nothing_new_begins_while_it_goes_on_nor_afterwards(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    token = await erased(by_hand, anna)

    refused = await anna.http.get("/api/v1/me")
    assert refused.status_code == 401, "every token ended at once"
    again = await by_hand.operator("POST", "/api/v1/local-members", json={"handle": "name:anna"})
    assert (again.status_code, again.json()["code"]) == (409, "account_erasing")

    await until_done(by_hand, token)
    fresh = await by_hand.member("name:anna", photos=0)
    assert fresh.id != anna.id, "somebody new, with nothing of before"
    assert (await fresh.get("/api/v1/selfies"))["items"] == []


async def test_a_request_that_the_erasure_overtook_is_told_to_sign_in(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await until_done(by_hand, await erased(by_hand, anna))

    async with by_hand.parts.core.db.member(anna.id) as tx:
        with pytest.raises(NotSignedIn):
            await generation.ask(
                tx, WORDS, key=None, new_seed=lambda: 1, refusals=Refusals(), now=by_hand.clock.now()
            )


async def test_a_late_webhook_revives_nothing(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    [run] = by_hand.cloud.trainings()
    run.shown["webhook"] = (
        "http://hooks.studio/webhooks/replicate/engine/training/"
        + by_hand.rows("select webhook_token from trainings")[0][0]
    )
    token = await erased(by_hand, anna)
    for _ in range(40):
        if (await receipt_of(by_hand, token))["stage"] == "watch":
            break
        await step(by_hand)

    url, headers, body = by_hand.cloud.webhook_of(run, "late", by_hand.clock.now())
    answer = await by_hand.http.post(url.removeprefix("http://hooks.studio"), content=body, headers=headers)

    assert answer.json() == {"outcome": "unknown"}
    await until_done(by_hand, token)
    assert traces(by_hand, anna.id) == []


async def test_a_start_whose_answer_was_lost_is_ended_and_its_version_goes_too(by_hand: ByHand) -> None:
    """The provider does a lost start after all, when every row is gone: only its token tells whose it is."""
    anna = await by_hand.member()
    await by_hand.trained(anna)
    [run] = by_hand.cloud.trainings()
    destination = run.destination
    token = await erased(by_hand, anna)
    while (await receipt_of(by_hand, token))["stage"] != "watch":
        assert await step(by_hand)
    twin = by_hand.cloud.again(run)
    by_hand.cloud.models[destination] = {"owner": "o", "name": "n", "visibility": "private"}
    by_hand.cloud.versions[destination] = [{"id": "e" * 64, "created_at": None, "openapi_schema": {}}]

    receipt = await until_done(by_hand, token)

    assert twin.shown["status"] == "canceled"
    assert by_hand.cloud.versions[destination] == [] and destination not in by_hand.cloud.models
    assert counts(receipt)["model version", "deleted"] == 2


async def test_a_file_that_a_slow_worker_stores_later_goes_too(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    token = await erased(by_hand, anna)
    while (await receipt_of(by_hand, token))["stage"] != "watch":
        assert await step(by_hand)
    await by_hand.parts.core.objects.put_new(f"members/{anna.id}/generations/x/0.png", b"late")

    receipt = await until_done(by_hand, token)

    assert traces(by_hand, anna.id) == []
    assert counts(receipt)["late file", "deleted"] == 1


async def test_while_the_provider_is_away_our_own_part_goes_and_the_rest_is_tried_for_days(
    by_hand: ByHand,
) -> None:
    anna = await with_pictures(by_hand)
    token = await erased(by_hand, anna)
    by_hand.cloud.token = "another one: every call is refused"
    while (await receipt_of(by_hand, token))["stage"] != "watch":
        assert await step(by_hand)

    waiting = await receipt_of(by_hand, token)
    assert traces(by_hand, "marzipan", "name:anna") == []
    assert not [path for path in files_of(by_hand) if anna.id in str(path)]
    assert counts(waiting)["model", "accepted"] == 1
    for _ in range(6):
        await step(by_hand)
    by_hand.cloud.token = by_hand.settings.replicate_api_token.get_secret_value()

    receipt = await until_done(by_hand, token)

    assert counts(receipt)["model", "deleted"] == 1
    assert traces(by_hand, anna.id) == []


async def test_what_the_provider_never_deletes_is_said_with_the_reason(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    token = await erased(by_hand, anna)
    by_hand.cloud.token = "another one: every call is refused"

    receipt = await until_done(by_hand, token)

    [model] = [line for line in receipt["artefacts"] if line["kind"] == "model"]
    assert model["outcome"] == "not_deletable" and "30 days" in model["why"]
    assert by_hand.clock.moved >= timedelta(days=30)
    assert by_hand.rows("select * from erasures") == []


async def test_withdrawn_consent_erases_what_was_made_and_leaves_the_account(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    begun = await anna.post("/api/v1/consents/withdraw", expect=202)

    refused = await anna.http.post("/api/v1/trainings")
    assert refused.json()["code"] in ("account_erasing", "too_few_photos", "training_in_hand"), refused.text
    second = await anna.http.post("/api/v1/consents/withdraw")
    assert (second.status_code, second.json()["code"]) == (409, "account_erasing")
    await until_done(by_hand, begun["receipt_token"])

    assert files_of(by_hand) == [] and traces(by_hand, "marzipan") == []
    assert (await anna.get("/api/v1/me"))["handle"] == "name:anna"
    [consent] = (await anna.get("/api/v1/consents"))["items"]
    assert consent["withdrawn_at"] is not None
    await anna.consent()
    assert len((await anna.get("/api/v1/consents"))["items"]) == 2, "who agrees again may begin again"


async def test_one_picture_is_erased_at_once_and_the_others_stay(by_hand: ByHand) -> None:
    anna = await with_pictures(by_hand)
    images = (await anna.get("/api/v1/images"))["items"]
    begun = await anna.post(f"/api/v1/images/{images[0]['id']}/erase", expect=202)

    assert (await anna.http.get(f"/api/v1/images/{images[0]['id']}")).status_code == 404
    receipt = await until_done(by_hand, begun["receipt_token"])

    assert traces(by_hand, images[0]["id"]) == []
    assert len((await anna.get("/api/v1/images"))["items"]) == 2
    assert counts(receipt)["picture", "deleted"] == 1


async def test_an_account_with_a_password_is_erased_with_it_only(by_hand: ByHand) -> None:
    admin = await first_admin(by_hand)
    anna = await joined(by_hand, admin, "anna@example.org")
    await admin.ok("POST", "/admin/invitations", {"email": "anna@example.org"})
    for wrong in ({}, {"password": "something else entirely"}):
        answer = await anna.send("DELETE", "/account", wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "password_wrong")

    begun = await anna.ok("DELETE", "/account", {"password": PASSWORD})

    refused = await anna.send("POST", "/session", {"email": "anna@example.org", "password": PASSWORD})
    assert refused.status_code == 401
    await until_done(by_hand, begun["receipt_token"])
    assert traces(by_hand, "anna@example.org") == []
    assert by_hand.clock.moved >= LOOKS[-1]


async def test_a_receipt_token_of_ones_own_is_good_once(by_hand: ByHand) -> None:
    own = {"Receipt-Token": "a token of my own, long enough to be one"}
    for name, status in (("name:anna", 202), ("name:bela", 422)):
        member = await by_hand.member(name)
        answer = await member.http.request("DELETE", "/api/v1/account", json={}, headers=own)
        assert answer.status_code == status, answer.text
    assert (await member.http.get("/api/v1/me")).status_code == 200, "nothing was begun"


async def test_a_receipt_opens_to_its_whole_token_only(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    token = await erased(by_hand, anna)
    for wrong in (token[:-1], token + "x", "prc_" + "0" * 43):
        answer = await by_hand.http.get("/api/v1/receipt", headers={"Receipt-Token": wrong})
        assert (answer.status_code, answer.json()["code"]) == (404, "receipt_not_found")


async def test_each_kind_of_trace_is_found_by_the_scan(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    by_hand.cloud.models[f"studio/{anna.id}-selfie-lora"] = {}
    by_hand.cloud.versions[f"studio/{anna.id}-selfie-lora"] = []

    found = " ".join(traces(by_hand, anna.id))

    assert all(where in found for where in ("users:", "selfies:", "/members/", "provider:"))


async def test_one_version_is_erased_with_its_copy_and_the_other_and_all_pictures_stay(
    by_hand: ByHand,
) -> None:
    anna = await with_pictures(by_hand)
    first = (await anna.get("/api/v1/models"))["active"]["id"]
    await by_hand.trained(anna)
    await by_hand.copy_weights()
    await anna.post(f"/api/v1/models/{first}/activate")
    asked = await anna.post("/api/v1/generations", {"prompt": WORDS})
    [(name,)] = by_hand.rows("select replicate_version_id from model_versions where id = %s", first)

    begun = await anna.http.delete(f"/api/v1/models/{first}")

    assert begun.status_code == 202, begun.text
    assert (await anna.http.post(f"/api/v1/models/{first}/activate")).status_code == 404
    assert (await anna.http.delete(f"/api/v1/models/{first}")).status_code == 404
    assert (await anna.get("/api/v1/models"))["active"] is None, "nothing is made with it any more"
    receipt = await until_done(by_hand, begun.json()["receipt_token"])
    said = counts(receipt)
    assert said["model version", "deleted"] == said["copy of weights", "deleted"] == 1
    assert ("model", "deleted") not in said and said["name of the version", "kept_unlinkable"] == 1
    [held] = by_hand.cloud.versions.values()
    assert name not in [each["id"] for each in held] and len(held) == 1
    assert len([path for path in files_of(by_hand) if path.name == "weights.tar"]) == 1
    assert len((await anna.get("/api/v1/images"))["items"]) == 3
    ended = await anna.get(f"/api/v1/generations/{asked['id']}")
    assert ended["status"] == "canceled"
    [other] = (await anna.get("/api/v1/models"))["versions"]
    assert other["id"] != first


async def test_whoever_comes_back_with_a_restored_backup_is_erased_again(by_hand: ByHand) -> None:
    anna, bela = await by_hand.member(), await by_hand.member("name:bela")
    by_hand.run("create schema backup")
    for table in ("users", "consents", "selfies"):
        by_hand.run(f"create table backup.{table} as select * from public.{table}")
    await until_done(by_hand, await erased(by_hand, anna))
    tombstones = by_hand.parts.eraser.tombstones
    assert await tombstones.sweep() == 0
    for table in ("users", "consents", "selfies"):
        by_hand.run(f"insert into public.{table} select * from backup.{table} on conflict do nothing")
    by_hand.run("drop schema backup cascade")
    assert traces(by_hand, anna.id) != []

    assert await tombstones.sweep() == 1

    assert await tombstones.sweep() == 0, "it is under way"
    while by_hand.rows("select 1 from erasures"):
        await step(by_hand)
    assert traces(by_hand, anna.id) == []
    assert len((await bela.get("/api/v1/selfies"))["items"]) == 10
