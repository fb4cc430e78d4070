"""Webhooks wake and never decide: forged, stale, doubled, out of order, foreign, huge, a thousand at once."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.conftest import HOOKS, Member

from portraitist.kit.embedded_postgres import Server
from portraitist.studio.webhooks import repository
from portraitist.studio.webhooks.service import clear_old

pytestmark = pytest.mark.anyio


@pytest.fixture
async def told(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[ByHand]:
    """A studio that asks for webhooks."""
    async with studio_by_hand(postgres, studio_database, tmp_path, webhooks_url=HOOKS) as running:
        yield running


async def running(told: ByHand, handle: str = "name:anna") -> tuple[Member, str, Any]:
    """A member's training that has been submitted, and its run."""
    told.cloud.statuses_of_a_training = ["starting", *["processing"] * 500, "succeeded"]
    member = await told.member(handle)
    before = set(told.cloud.runs)
    training = await member.post("/api/v1/trainings")
    path = f"/api/v1/trainings/{training['id']}"
    await told.until(member, path, "submitted")
    [run] = [run for run_id, run in told.cloud.runs.items() if run_id not in before]
    return member, path, run


async def post(told: ByHand, url: str, headers: dict[str, str], body: bytes) -> Any:
    answer = await told.http.post(url.removeprefix(HOOKS), content=body, headers=headers)
    return answer.status_code, answer.json()


def next_check(told: ByHand, path: str) -> Any:
    return told.rows("select next_check_at, revision from trainings where id = %s", path.rsplit("/", 1)[1])[0]


async def test_a_webhook_wakes_its_run_and_the_provider_is_asked_what_is_true(told: ByHand) -> None:
    member, path, run = await running(told)
    told.clock.move(timedelta(seconds=1))
    run.shown["status"] = "succeeded"  # a lie: it is at work, and the next look says so
    url, headers, body = told.cloud.webhook_of(run, "completed", told.clock.now())
    run.shown["status"] = "starting"
    assert await post(told, url, headers, body) == (200, {"outcome": "woke"})
    assert next_check(told, path)[0] == told.clock.now()
    assert told.rows("select count(*) from jobs where kind = 'training'")
    await told.step()
    assert (await member.get(path))["status"] == "training"
    stored = told.rows("select user_id, kind, outcome from webhook_deliveries")
    assert stored == [(member.id, "training", "woke")]


async def test_the_same_message_wakes_once_however_often_it_comes_at_once(told: ByHand) -> None:
    _, _, run = await running(told)
    message = told.cloud.webhook_of(run, "completed", told.clock.now())
    answers = await asyncio.gather(*(post(told, *message) for _ in range(30)))
    outcomes = [body["outcome"] for _, body in answers]
    assert {status for status, _ in answers} == {200}
    assert sorted(outcomes) == [*["known"] * 29, "woke"]
    assert told.rows("select count(*) from webhook_deliveries") == [(1,)]


async def test_every_order_of_events_ends_the_same(told: ByHand) -> None:
    member, path, run = await running(told)
    run.ahead[:] = ["processing", "succeeded"]
    late = told.cloud.webhook_of(run, "start", told.clock.now())
    done = await told.until(member, path, "completed")
    assert await post(told, *late) == (200, {"outcome": "woke"})
    await told.until_quiet()
    assert (await member.get(path))["status"] == done["status"] == "completed"


async def test_a_webhook_that_names_another_members_run_is_quarantined_and_wakes_nobody(told: ByHand) -> None:
    _, path, run = await running(told)
    _, others_path, others_run = await running(told, "name:ben")
    before = next_check(told, path), next_check(told, others_path)
    body = json.dumps(others_run.shown).encode()
    headers = told.cloud.signed(body, "msg_crossed", told.clock.now())
    assert await post(told, run.shown["webhook"], headers, body) == (200, {"outcome": "quarantined"})
    assert (next_check(told, path), next_check(told, others_path)) == before
    assert told.rows("select outcome from webhook_deliveries") == [("quarantined",)]


async def test_planted_bug_a_webhook_that_trusts_its_body_is_caught(
    told: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = repository.subject

    async def careless(*args: Any) -> Any:
        found = await real(*args)
        return found and repository.Subject(found.user_id, found.id, found.account_id, None)

    monkeypatch.setattr(repository, "subject", careless)
    with pytest.raises(AssertionError):
        await test_a_webhook_that_names_another_members_run_is_quarantined_and_wakes_nobody(told)


async def test_every_malformed_or_forged_header_is_the_same_refusal(told: ByHand) -> None:
    _, path, run = await running(told)
    url, headers, body = told.cloud.webhook_of(run, "completed", told.clock.now())
    before = next_check(told, path)
    signature = headers["webhook-signature"]
    flipped = signature[:-2] + ("A" if signature[-2] != "A" else "B") + signature[-1]
    stale = told.cloud.webhook_of(run, "completed", told.clock.now() - timedelta(seconds=301))[1]
    early = told.cloud.webhook_of(run, "completed", told.clock.now() + timedelta(seconds=302))[1]
    wrong = [
        {},
        stale,
        early,
        *({name: value for name, value in headers.items() if name != missing} for missing in headers),
        *(
            headers | {"webhook-signature": value}
            for value in (
                "",
                ",",
                "v1",
                "v1,",
                "v2," + signature[3:],
                signature[3:],
                flipped,
                "v1,ä",
                "v1,=====",
            )
        ),
        *(headers | {"webhook-timestamp": value} for value in ("", "soon", "-1", "1e9", "9" * 40)),
        headers | {"webhook-id": "another"},
    ]
    refusals = set()
    for given in wrong:
        sent = {name: value.encode("latin-1") for name, value in given.items()}
        answer = await told.http.post(url.removeprefix(HOOKS), content=body, headers=sent)
        refusals.add((answer.status_code, json.dumps(answer.json() | {"request_id": ""})))
    tampered = await told.http.post(url.removeprefix(HOOKS), content=body + b" ", headers=headers)
    assert tampered.status_code == 401
    strangers = url.removeprefix(HOOKS).replace("/engine/", "/nobody/")
    assert (await told.http.post(strangers, content=body, headers=headers)).status_code == 401
    assert len(refusals) == 1
    assert next(iter(refusals))[0] == 401
    assert next_check(told, path) == before
    assert told.rows("select count(*) from webhook_deliveries") == [(0,)]
    several = headers | {"webhook-signature": f"v1,AAAA v2,x {signature}"}
    assert (await post(told, url, several, body))[0] == 200


async def test_a_changed_secret_is_fetched_the_old_one_fades_out_and_strangers_cannot_make_us_ask(
    told: ByHand,
) -> None:
    _, _, run = await running(told)
    old = told.cloud.secret
    assert (await post(told, *told.cloud.webhook_of(run, "1", told.clock.now())))[0] == 200
    in_flight = told.cloud.webhook_of(run, "2", told.clock.now())

    def asked() -> int:
        return told.cloud.sent("GET", "/v1/webhooks/default/secret")

    told.cloud.secret = "whsec_" + base64.b64encode(b"a new key").decode()
    told.clock.move(timedelta(seconds=60))
    assert (await post(told, *told.cloud.webhook_of(run, "3", told.clock.now())))[0] == 200
    assert asked() == 2
    assert (await post(told, *in_flight))[0] == 200  # signed before the change, arriving after it
    told.clock.move(timedelta(minutes=11))
    now, told.cloud.secret = told.cloud.secret, old
    outdated = told.cloud.webhook_of(run, "4", told.clock.now())
    told.cloud.secret = now
    assert (await post(told, *outdated))[0] == 401
    before = asked()
    for number in range(20):
        url, headers, body = told.cloud.webhook_of(run, f"x{number}", told.clock.now())
        assert (await post(told, url, headers | {"webhook-id": "forged"}, body))[0] == 401
    assert asked() == before


async def test_sixteen_megabytes_are_taken_and_more_is_refused(told: ByHand) -> None:
    _, _, run = await running(told)
    run.shown["logs"] = "x" * (16 * 2**20 - 4096)
    assert (await post(told, *told.cloud.webhook_of(run, "long", told.clock.now()))) == (
        200,
        {"outcome": "woke"},
    )
    run.shown["logs"] = "x" * (16 * 2**20)
    status, refusal = await post(told, *told.cloud.webhook_of(run, "longer", told.clock.now()))
    assert (status, refusal["code"]) == (413, "body_too_large")


async def test_a_webhook_before_its_start_is_recorded_only_wakes(told: ByHand) -> None:
    _, path, run = await running(told)
    told.run("update trainings set status = 'submitting', provider_training_id = null")
    assert (await post(told, *told.cloud.webhook_of(run, "start", told.clock.now())))[1] == {
        "outcome": "woke"
    }
    assert next_check(told, path)[1] == told.rows("select revision from trainings")[0][0]
    await told.step()
    assert told.rows("select status, provider_training_id from trainings")[0][1] == run.shown["id"]


async def test_a_token_of_no_row_and_a_body_without_a_run_change_nothing(told: ByHand) -> None:
    _, _, run = await running(told)
    url, headers, body = told.cloud.webhook_of(run, "x", told.clock.now())
    gone = f"{url.rsplit('/', 1)[0]}/{'0' * 32}"
    assert await post(told, gone, headers, body) == (200, {"outcome": "unknown"})
    odd = b"[]"
    assert (await post(told, url, told.cloud.signed(odd, "odd", told.clock.now()), odd))[0] == 400
    assert told.rows("select count(*) from webhook_deliveries") == [(0,)]


async def test_old_deliveries_are_cleared_away(told: ByHand) -> None:
    _, _, run = await running(told)
    await post(told, *told.cloud.webhook_of(run, "1", told.clock.now()))
    told.clock.move(timedelta(hours=25))
    await post(told, *told.cloud.webhook_of(run, "2", told.clock.now()))
    await clear_old(told.parts.core.db, told.clock)
    assert told.rows("select webhook_id from webhook_deliveries") == [(f"msg_{run.shown['id']}_2",)]


async def test_hundreds_at_once_are_all_answered_stored_and_woken(told: ByHand) -> None:
    _, _, run = await running(told)
    told.run(
        """insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
               next_check_at, provider_training_id, candidate_version, verify_prediction_id, webhook_token, created_at)
           select user_id, gen_random_uuid(), 'verifying', account_id, trigger_word, destination, trainer, '{}',
               next_check_at + interval '1 day', 'train' || n, repeat('a', 64), 'run' || n, 'token' || n, created_at
           from trainings, generate_series(1, 200) as n"""
    )
    base = run.shown["webhook"].rsplit("/", 2)[0].removeprefix(HOOKS) + "/verification"
    log = "x" * 5000
    messages = []
    for number in range(1, 201):
        body = json.dumps({"id": f"run{number}", "status": "succeeded", "logs": log}).encode()
        messages.append(
            (f"{base}/token{number}", told.cloud.signed(body, f"m{number}", told.clock.now()), body)
        )

    async def send(number: int) -> None:
        await asyncio.sleep(number / 50)
        url, headers, body = messages[number]
        answer = await told.http.post(url, content=body, headers=headers)
        assert answer.json() == {"outcome": "woke"}

    await asyncio.gather(*(send(number) for number in range(200)))
    assert told.rows("select count(*) from webhook_deliveries") == [(200,)]
    waiting = told.rows("select count(*) from jobs where kind = 'training'")
    assert waiting >= [(200,)]
