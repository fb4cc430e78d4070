"""From "succeeded" to a version of the member's own: every form of output, versions that lag, who may try again."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.replicate_cloud import problem
from tests.integration.by_hand import ByHand
from tests.integration.cloud import plain_png

from portraitist.cli import follow
from portraitist.cli.api import StudioApi
from portraitist.cli.commands import trainings
from portraitist.cli.output import Output
from portraitist.studio.training import extraction
from portraitist.studio.training.domain import FoundVersion

pytestmark = pytest.mark.anyio
NOTHING_NAMED = [None, {}, "", [], {"weights": "https://replicate.delivery/x.tar"}]
OTHER = "f" * 64


async def begun(by_hand: ByHand) -> tuple[Any, str]:
    member = await by_hand.member()
    training = await member.post("/api/v1/trainings")
    return member, f"/api/v1/trainings/{training['id']}"


def add_version(by_hand: ByHand, model: str, version: str, ago: timedelta = timedelta(0)) -> None:
    """A version of the destination that no training of ours is known to have made."""
    by_hand.cloud.versions[model].append(
        {
            "id": version,
            "created_at": (by_hand.clock.now() - ago).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "cog_version": "0.16.0",
            "openapi_schema": by_hand.cloud.schema,
        }
    )


@pytest.mark.parametrize("output", NOTHING_NAMED)
async def test_without_a_version_in_the_output_the_only_new_one_is_taken(
    by_hand: ByHand, output: Any
) -> None:
    by_hand.cloud.trained_output = lambda model, version: output
    member, path = await begun(by_hand)
    done = await by_hand.until(member, path, "completed", "extraction_failed")
    [made] = by_hand.cloud.versions[done["destination"]]
    assert done["version"] == f"{done['destination']}:{made['id']}"
    assert len(by_hand.cloud.trainings()) == 1


async def test_two_new_versions_are_a_guess_and_are_parked_with_the_raw_output(by_hand: ByHand) -> None:
    def two(model: str, version: str) -> Any:
        add_version(by_hand, model, OTHER)
        return {"weights": "https://replicate.delivery/x.tar"}

    by_hand.cloud.trained_output = two
    member, path = await begun(by_hand)
    parked = await by_hand.until(member, path, "completed", "extraction_failed")
    assert (parked["status"], parked["error_code"]) == ("extraction_failed", "version_not_found")
    assert parked["next_step"]
    assert by_hand.rows("select raw_output from trainings") == [
        ({"weights": "https://replicate.delivery/x.tar"},)
    ]
    assert (await member.get("/api/v1/models"))["active"] is None


async def test_an_older_unknown_version_is_neither_taken_nor_in_the_way(by_hand: ByHand) -> None:
    def with_an_old_one(model: str, version: str) -> Any:
        add_version(by_hand, model, OTHER, ago=timedelta(days=1))
        return None

    by_hand.cloud.trained_output = with_an_old_one
    member, path = await begun(by_hand)
    done = await by_hand.until(member, path, "completed", "extraction_failed")
    assert done["status"] == "completed"
    assert OTHER not in done["version"]


async def test_the_version_of_an_earlier_training_is_not_taken_for_the_new_one(by_hand: ByHand) -> None:
    member = await by_hand.member()
    first = await by_hand.trained(member)
    real = by_hand.cloud._train

    def without_a_version(run: Any, status: str) -> None:
        real(run, status)
        if status == "succeeded":
            by_hand.cloud.versions[run.destination].pop()
            run.shown["output"] = None

    by_hand.cloud._train = without_a_version  # type: ignore[method-assign]
    second = await member.post("/api/v1/trainings")
    parked = await by_hand.until(
        member, f"/api/v1/trainings/{second['id']}", "completed", "extraction_failed"
    )
    assert parked["status"] == "extraction_failed"
    assert (await member.get("/api/v1/models"))["active"]["version"] == first["version"]


async def test_a_later_training_s_version_that_nobody_has_read_yet_is_not_taken(by_hand: ByHand) -> None:
    """As in simulated schedule 53588: the earlier training looks again while the later one's version is new."""
    real = by_hand.cloud._train

    def without_a_version(run: Any, status: str) -> None:
        real(run, status)
        if status == "succeeded":
            by_hand.cloud.versions[run.destination].clear()
            run.shown["output"] = {"weights": "https://replicate.delivery/x.tar"}

    by_hand.cloud._train = without_a_version  # type: ignore[method-assign]
    member, path = await begun(by_hand)
    parked = await by_hand.until(member, path, "completed", "extraction_failed")
    by_hand.clock.move(timedelta(seconds=20))
    await member.post("/api/v1/trainings")
    add_version(by_hand, parked["destination"], OTHER, ago=timedelta(seconds=-20))
    await member.post(f"{path}/retry")
    await by_hand.step()
    seen = await member.get(path)
    assert (seen["status"], seen["version"]) == ("extraction_failed", None)
    assert by_hand.rows("select 1 from trainings where candidate_version is not null") == []


async def test_planted_bug_taking_the_newest_version_is_caught(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def newest(listed: list[FoundVersion], *_: object) -> str | None:
        return listed[0].id if listed else None

    monkeypatch.setattr(extraction, "the_one_new", newest)
    with pytest.raises(AssertionError):
        await test_two_new_versions_are_a_guess_and_are_parked_with_the_raw_output(by_hand)


async def test_a_version_that_is_readable_only_minutes_later_is_waited_for_not_reported(
    by_hand: ByHand,
) -> None:
    by_hand.cloud.hidden_versions = {"any"}
    real = by_hand.cloud._train

    def hidden(run: Any, status: str) -> None:
        real(run, status)
        by_hand.cloud.hidden_versions = {v["id"] for v in by_hand.cloud.versions[run.destination]}

    by_hand.cloud._train = hidden  # type: ignore[method-assign]
    member, path = await begun(by_hand)
    await by_hand.until(member, path, "extracting")
    began = by_hand.clock.now()
    while by_hand.clock.now() < began + timedelta(minutes=5):
        assert await by_hand.step()
        assert (await member.get(path))["status"] == "extracting"
    by_hand.cloud.hidden_versions = set()
    seen = by_hand.clock.now()
    await by_hand.until(member, path, "completed")
    assert by_hand.clock.now() - seen < timedelta(minutes=3)


async def test_a_version_that_stays_unreadable_is_parked_and_tried_again_for_days_with_growing_pauses(
    by_hand: ByHand,
) -> None:
    by_hand.cloud.trained_output = lambda model, version: {"version": f"{model}:{OTHER}"}
    member, path = await begun(by_hand)
    await by_hand.until(member, path, "extraction_failed")
    pauses: list[timedelta] = []
    while sum(pauses, timedelta()) < timedelta(days=5):
        [(due,)] = by_hand.rows("select next_check_at from trainings")
        pauses.append(due - by_hand.clock.now())
        assert (await member.get(path))["status"] == "extraction_failed"
        await by_hand.step()
    assert pauses[0] == timedelta(minutes=1)
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=24)

    shown = await member.get(path)
    add_version(by_hand, shown["destination"], OTHER)  # it has turned up at last
    done = await by_hand.until(member, path, "completed")
    assert done["active"] is True
    assert len(by_hand.cloud.trainings()) == 1


async def test_a_member_retries_from_the_command_line(
    by_hand: ByHand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_stream(*_about: Any) -> AsyncIterator[Any]:
        return
        yield

    monkeypatch.setattr(follow, "_streamed", no_stream)  # the command looks again by itself then
    by_hand.cloud.trained_output = lambda model, version: "null:null"
    member, path = await begun(by_hand)
    parked = await by_hand.until(member, path, "extraction_failed")
    [run] = by_hand.cloud.trainings()
    [made] = by_hand.cloud.versions[run.destination]
    run.shown["output"] = {"version": f"{run.destination}:{made['id']}"}

    token = member.http.headers["authorization"].removeprefix("Bearer ")
    api, output = StudioApi(by_hand.http, token, lambda: True), Output(json_lines=True)
    asked = asyncio.create_task(trainings.act(api, parked["id"], "retry", output))
    while not asked.done():
        await by_hand.step()
        await asyncio.sleep(0.05)
    await asked
    last = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")][-1]
    assert json.loads(last)["status"] == "completed"
    assert len(by_hand.cloud.trainings()) == 1


async def test_the_operator_retries_for_a_member_at_no_cost_and_learns_nothing_else(by_hand: ByHand) -> None:
    by_hand.cloud.trained_output = lambda model, version: "null:null"
    member, path = await begun(by_hand)
    parked = await by_hand.until(member, path, "extraction_failed")
    [run] = by_hand.cloud.trainings()
    [made] = by_hand.cloud.versions[run.destination]
    run.shown["output"] = {"version": f"{run.destination}:{made['id']}"}

    retry = f"/api/v1/operator/trainings/{parked['id']}/retry"
    assert (await member.http.post(retry)).status_code == 403
    answer = await by_hand.operator("POST", retry)
    assert answer.status_code == 200
    assert set(answer.json()) == {"id", "status", "error_code", "error", "next_check_at"}
    done = await by_hand.until(member, path, "completed", "extraction_failed")
    assert done["active"] is True
    assert len(by_hand.cloud.trainings()) == 1
    assert (await by_hand.operator("POST", retry)).status_code == 409
    absent = retry.replace(parked["id"], "00000000-0000-4000-8000-000000000000")
    assert (await by_hand.operator("POST", absent)).status_code == 404


@pytest.mark.parametrize("flaw", ["blank", "flagged", "no picture"])
async def test_a_version_whose_test_picture_is_no_picture_waits_and_the_earlier_model_works_on(
    by_hand: ByHand, flaw: str
) -> None:
    member = await by_hand.member()
    first = await by_hand.trained(member)
    if flaw == "flagged":
        by_hand.cloud.flagged = {0}
    else:
        by_hand.cloud.picture = plain_png() if flaw == "blank" else b"<html>"
    second = await member.post("/api/v1/trainings")
    path = f"/api/v1/trainings/{second['id']}"
    parked = await by_hand.until(member, path, "verification_failed", "completed")
    assert parked["status"] == "verification_failed"
    assert (
        parked["error_code"]
        == {
            "blank": "test_blank",
            "flagged": "test_flagged",
            "no picture": "test_unreadable",
        }[flaw]
    )
    assert (await member.get("/api/v1/models"))["active"]["version"] == first["version"]
    by_hand.cloud.flagged, by_hand.cloud.picture = set(), None
    done = await by_hand.until(member, path, "completed")
    assert done["active"] is True


async def test_a_version_of_another_owner_is_never_asked_for(by_hand: ByHand) -> None:
    by_hand.cloud.trained_output = lambda model, version: {
        "version": f"somebody/{model.split('/')[1]}:{version}"
    }
    member, path = await begun(by_hand)
    parked = await by_hand.until(member, path, "extraction_failed", "completed")
    assert parked["error_code"] == "version_not_found"
    assert by_hand.cloud.sent("GET", "/v1/models/somebody/") == 0


async def test_rolling_back_and_forth_takes_one_call_each(by_hand: ByHand) -> None:
    member = await by_hand.member()
    first, second = await by_hand.trained(member), await by_hand.trained(member)
    models = await member.get("/api/v1/models")
    assert models["active"]["version"] == second["version"]
    for wanted in (first, second):
        [row] = [v for v in models["versions"] if v["version"] == wanted["version"]]
        after = await member.post(f"/api/v1/models/{row['id']}/activate")
        assert after["active"]["version"] == wanted["version"]


async def test_a_training_that_ends_while_it_is_being_stopped_is_not_thrown_away(by_hand: ByHand) -> None:
    by_hand.cloud.statuses_of_a_training = ["starting", *["processing"] * 10_000]
    member, path = await begun(by_hand)
    await by_hand.until(member, path, "training")
    [run] = by_hand.cloud.trainings()

    async def it_has_just_ended(request: Any) -> Any:
        from starlette.responses import JSONResponse

        by_hand.cloud._advance(run, "succeeded", "http://x/")
        return JSONResponse(run.shown)

    by_hand.cloud._cancel = it_has_just_ended  # type: ignore[method-assign]
    by_hand.cloud._app = type(by_hand.cloud._app)(routes=by_hand.cloud._routes())
    run.ahead.clear()
    done = await by_hand.until(member, path, "completed", "failed")
    assert done["status"] == "completed"


@pytest.mark.parametrize(("status", "ends"), [("aborted", "failed"), ("a word of tomorrow", "failed")])
async def test_aborted_is_an_end_and_an_unknown_word_is_none_until_the_deadline(
    by_hand: ByHand, status: str, ends: str
) -> None:
    by_hand.cloud.statuses_of_a_training = ["starting", *[status] * 10_000]
    member, path = await begun(by_hand)
    began = by_hand.clock.now()
    over = await by_hand.until(member, path, ends)
    if status == "aborted":
        assert over["error_code"] == "canceled_at_provider"
    else:
        assert over["error_code"] == "took_too_long"
        assert timedelta(hours=2) < by_hand.clock.now() - began < timedelta(hours=2, minutes=5)
        assert by_hand.cloud.trainings()[0].shown["status"] == "canceled"


async def test_a_run_past_its_deadline_is_stopped_at_the_provider_and_says_so(by_hand: ByHand) -> None:
    by_hand.cloud.statuses_of_a_training = ["starting", *["processing"] * 10_000]
    member, path = await begun(by_hand)
    began = by_hand.clock.now()
    over = await by_hand.until(member, path, "failed")
    assert over["error_code"] == "took_too_long"
    assert timedelta(hours=3) < by_hand.clock.now() - began < timedelta(hours=3, minutes=5)
    assert by_hand.cloud.trainings()[0].shown["status"] == "canceled"


async def test_a_revoked_token_waits_without_a_storm_and_goes_on_when_it_is_back(by_hand: ByHand) -> None:
    refusal = problem(401, "You did not pass a valid authentication token", "Unauthenticated")
    by_hand.cloud.fail_next("GET", "/v1/models/", *[refusal] * 20)  # the first that a start asks
    member, path = await begun(by_hand)
    began = by_hand.clock.now()
    while by_hand.clock.now() < began + timedelta(minutes=5):
        await by_hand.step()
    shown = await member.get(path)
    assert (shown["status"], shown["error_code"]) == ("queued", "provider_unauthorized")
    assert len(by_hand.cloud.requests) <= 12
    await by_hand.until(member, path, "completed")


async def test_a_test_picture_that_never_ends_is_stopped_and_tried_again(by_hand: ByHand) -> None:
    by_hand.cloud.statuses_of_a_prediction = ["starting", *["processing"] * 10_000]
    member, path = await begun(by_hand)
    parked = await by_hand.until(member, path, "verification_failed", "completed")
    assert parked["error_code"] == "test_took_too_long"
    assert [run.shown["status"] for run in by_hand.cloud.predictions(1)] == ["canceled"]
    by_hand.cloud.statuses_of_a_prediction = ["starting", "succeeded"]
    assert (await by_hand.until(member, path, "completed"))["active"] is True


async def test_canceling_while_it_is_verified_ends_the_test_picture_too(by_hand: ByHand) -> None:
    by_hand.cloud.statuses_of_a_prediction = ["starting", *["processing"] * 10_000]
    member, path = await begun(by_hand)
    await by_hand.until(member, path, "verifying")
    for _ in range(3):
        await by_hand.step()
    await member.post(f"{path}/cancel")
    await by_hand.until(member, path, "canceled")
    assert [run.shown["status"] for run in by_hand.cloud.predictions(1)] == ["canceled"]
    assert (await member.get("/api/v1/models"))["active"] is None
