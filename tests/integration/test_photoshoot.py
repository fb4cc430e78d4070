"""Sets of the AI Photoshoot: shot a few at a time with the member's own model, stopped, put off and gone on with."""

from datetime import datetime, timedelta
from uuid import uuid4

import anyio
import pytest
from tests.integration.by_hand import ByHand
from tests.integration.shooting import (
    COLLECTION,
    SETS,
    generations,
    seen,
    shoot,
    statuses,
    turn,
    until_drawn,
    until_still,
)

from portraitist.studio.generation import service as generation
from portraitist.studio.photoshoot import reading
from portraitist.studio.photoshoot.domain import AT_ONCE, MOST_UNFINISHED
from portraitist.studio.prompting.refusing import Refusals

pytestmark = pytest.mark.anyio
BOOK = reading.read()


async def test_a_whole_set_is_each_look_once_drawn_a_few_at_a_time_with_the_own_model(
    by_hand: ByHand,
) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna)
    assert begun["title"] == "Editorial power" and statuses(begun) == ["waiting"] * 8

    await turn(by_hand)
    assert statuses(await seen(anna, begun)).count("queued") == AT_ONCE
    await until_drawn(by_hand)

    done = await seen(anna, begun)
    assert done["status"] == "done" and statuses(done) == ["completed"] * 8
    collection = BOOK.collection(COLLECTION)
    assert collection is not None
    assert [(shot["look"], shot["shot"]) for shot in done["shots"]] == [
        (look.slug, look.lead) for look in collection.looks
    ]
    assert sum(len(shot["generation"]["images"]) for shot in done["shots"]) == 24
    sent = [
        run.shown["input"]["prompt"] for run in by_hand.cloud.runs.values() if "seed" in run.shown["input"]
    ]
    drawn = [prompt for prompt in sent if "wearing" in prompt]
    assert len(drawn) == 8
    assert all(prompt.startswith(f"user{anna.id} person wearing ") for prompt in drawn)
    [listed] = (await anna.get(SETS))["items"]
    assert (listed["drawn"], listed["shots"]) == (8, 8)


async def test_one_look_is_its_three_shots_and_its_prompt_is_shown_nowhere(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna, "marble-lobby", colours=["navy", "cream"])
    await until_drawn(by_hand)
    answer = await anna.http.get(f"{SETS}/{begun['id']}")
    assert [shot["shot"] for shot in answer.json()["shots"]] == ["close_up", "half_body", "full_scene"]
    prompts = [
        row[0]
        for row in by_hand.rows(
            "select g.prompt from generation_trackers g join photo_set_items i on i.generation_id = g.id "
            "order by position"
        )
    ]
    assert ["85 mm" in prompts[0], "50 mm" in prompts[1], "35 mm" in prompts[2]] == [True] * 3
    assert all("navy cashmere" in prompt and "cream wool" in prompt for prompt in prompts)
    assert "cashmere" not in answer.text
    assert "cashmere" not in (await anna.http.get("/api/v1/generations")).text
    [(words, look)] = by_hand.rows("select distinct words, look from ai_images")
    assert (words, look) == ("Marble lobby", "marble-lobby")
    assert len((await anna.get("/api/v1/images", q="marble"))["items"]) == 9


async def test_every_shot_of_a_set_is_each_look_in_three_shots(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna, every_shot=True)
    await until_still(by_hand)
    done = await seen(anna, begun)
    assert done["every_shot"] and statuses(done) == ["completed"] * 24
    assert len({(each["look"], each["shot"]) for each in done["shots"]}) == 24
    look = await shoot(anna, "marble-lobby", every_shot=True)
    assert not look["every_shot"] and len(look["shots"]) == 3


async def test_a_set_is_taken_out_of_the_list_and_its_pictures_stay(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna, "marble-lobby")
    await until_drawn(by_hand)
    for _ in range(2):
        await anna.http.delete(f"{SETS}/{begun['id']}")
    answer = await anna.http.get(f"{SETS}/{begun['id']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "set_not_found")
    assert (await anna.get(SETS))["items"] == [] and by_hand.rows("select 1 from photo_set_items") == []
    assert len((await anna.get("/api/v1/images", q="marble"))["items"]) == 9


async def test_a_set_taken_out_while_it_runs_shoots_no_more(by_hand: ByHand) -> None:
    anna, ben = await by_hand.member(), await by_hand.member("name:ben", photos=0)
    await by_hand.trained(anna)
    begun = await shoot(anna)
    await turn(by_hand)
    assert (await ben.http.delete(f"{SETS}/{begun['id']}")).status_code == 404
    assert (await anna.http.delete(f"{SETS}/{begun['id']}")).status_code == 204
    await by_hand.parts.photoshoots.advance(begun["id"], anna.id)
    await until_still(by_hand)
    assert len(generations(by_hand, anna)) == AT_ONCE
    asked = by_hand.rows("select distinct status from generation_trackers")
    assert asked == [("canceled",)], "nothing had been sent yet"


async def test_the_same_key_is_the_same_set_and_another_set_is_told(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    key = {"Idempotency-Key": "a key of mine"}
    first = await anna.post(SETS, {"collection": COLLECTION}, expect=201, **key)
    again = await anna.post(SETS, {"collection": COLLECTION}, expect=201, **key)
    assert first["id"] == again["id"]
    for other in ({"collection": "travel"}, {"collection": COLLECTION, "every_shot": True}):
        assert (await anna.post(SETS, other, expect=422, **key))["code"] == "key_reused"
    assert len((await anna.get(SETS))["items"]) == 1


async def test_a_worker_killed_between_asking_and_recording_asks_once(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna)
    ask, calls = generation.ask, []

    async def killed(tx, words, **more):
        made = await ask(tx, words, **more)
        calls.append(words)
        if len(calls) in (2, 3):  # the generation is written, the set does not know of it yet
            raise RuntimeError("killed")
        return made

    monkeypatch.setattr(generation, "ask", killed)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await by_hand.parts.photoshoots.advance(begun["id"], anna.id)
    assert len(generations(by_hand, anna)) == 1, "what was not committed is not there"
    await until_still(by_hand)

    done = await seen(anna, begun)
    assert done["status"] == "done"
    assert len(generations(by_hand, anna)) == 8
    assert len({shot["generation"]["id"] for shot in done["shots"]}) == 8


async def test_two_workers_on_the_same_set_ask_for_each_shot_once(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna)
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(by_hand.parts.photoshoots.advance, begun["id"], anna.id)
    assert len(generations(by_hand, anna)) == AT_ONCE
    await until_still(by_hand)
    assert len(generations(by_hand, anna)) == 8


async def test_the_rest_can_be_canceled_and_gone_on_with(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna)
    await turn(by_hand)
    canceled = await anna.post(f"{SETS}/{begun['id']}/cancel")
    assert canceled["status"] == "canceled"
    assert statuses(canceled)[AT_ONCE:] == ["canceled"] * (8 - AT_ONCE)
    await until_still(by_hand)
    kept = await seen(anna, begun)
    assert statuses(kept) == ["canceled"] * 8, "nothing had been sent yet"
    assert (await anna.post(f"{SETS}/{begun['id']}/cancel"))["status"] == "canceled", "twice changes nothing"

    await anna.post(f"{SETS}/{begun['id']}/go-on")
    await until_still(by_hand)
    done = await seen(anna, begun)
    assert done["status"] == "done" and statuses(done) == ["completed"] * 8
    refused = await anna.post(f"{SETS}/{begun['id']}/cancel", expect=409)
    assert refused["code"] == "set_ended"
    assert (await anna.post(f"{SETS}/{begun['id']}/go-on", expect=409))["code"] == "set_ended"


async def test_what_is_being_drawn_comes_although_the_rest_is_canceled(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna)
    await turn(by_hand)
    await by_hand.parts.sweeper.admit("generation")
    for _ in range(10):
        if "submitted" in statuses(await seen(anna, begun)):
            break
        await by_hand.step()
    drawn = statuses(await seen(anna, begun)).index("submitted")
    await anna.post(f"{SETS}/{begun['id']}/cancel")
    await until_still(by_hand)
    kept = statuses(await seen(anna, begun))
    assert kept.pop(drawn) == "completed"
    assert kept == ["canceled"] * 7


async def test_a_days_pictures_used_up_puts_the_rest_off_until_there_are_more(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    by_hand.parts.photoshoots.__dict__["per_day"] = 5
    begun = await shoot(anna)
    await until_still(by_hand)
    waits = await seen(anna, begun)
    assert (waits["status"], waits["why_paused"]) == ("paused", "quota")
    assert statuses(waits) == ["completed"] * 5 + ["waiting"] * 3
    resumes = datetime.fromisoformat(waits["resumes_at"])
    assert timedelta(hours=20) < resumes - by_hand.clock.now() <= timedelta(hours=24)

    by_hand.clock.move_to(resumes)
    await until_still(by_hand)
    for _ in range(3):  # the first of yesterday's five are a day old one after the other
        if (await seen(anna, begun))["status"] == "done":
            break
        by_hand.clock.move(timedelta(hours=1))
        await until_still(by_hand)
    assert statuses(await seen(anna, begun)) == ["completed"] * 8


async def test_the_rest_tomorrow_goes_on_by_itself_and_sooner_by_a_click(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    first, second = await shoot(anna), await shoot(anna, "red-backdrop")
    for each in (first, second):
        paused = await anna.post(f"{SETS}/{each['id']}/pause")
        assert (paused["status"], paused["why_paused"]) == ("paused", "wish")
    await until_still(by_hand)
    assert generations(by_hand, anna) == []
    await anna.post(f"{SETS}/{second['id']}/go-on")
    await until_still(by_hand)
    assert (await seen(anna, second))["status"] == "done"
    assert (await seen(anna, first))["status"] == "paused"
    by_hand.clock.move(timedelta(days=1))
    await until_still(by_hand)
    assert (await seen(anna, first))["status"] == "done"


async def test_a_look_that_the_operator_refuses_is_explained_and_the_others_are_shot(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    by_hand.parts.photoshoots.__dict__["refusals"] = Refusals(("Marble Lobby", "grand hotel"))
    begun = await shoot(anna)
    await until_still(by_hand)
    done = await seen(anna, begun)
    assert done["status"] == "done"
    [refused] = [shot for shot in done["shots"] if shot["status"] == "refused"]
    assert refused["look"] == "marble-lobby"
    assert refused["error_code"] == "prompt_named_person" and refused["next_step"]
    assert statuses(done).count("completed") == 7


async def test_a_flagged_shot_says_so_and_can_be_tried_again(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna, "red-backdrop")
    await turn(by_hand)
    by_hand.run(
        "update generation_trackers set status = 'failed', error_code = 'all_flagged', error = 'All were taken away.', "
        "finished_at = now() where id = (select generation_id from photo_set_items where position = 0)"
    )
    await until_still(by_hand)
    done = await seen(anna, begun)
    assert statuses(done) == ["failed", "completed", "completed"] and done["status"] == "done"
    assert done["shots"][0]["error_code"] == "all_flagged" and done["shots"][0]["next_step"]
    await anna.post(f"{SETS}/{begun['id']}/go-on")
    await until_still(by_hand)
    assert statuses(await seen(anna, begun)) == ["completed"] * 3
    assert len(generations(by_hand, anna)) == 4


async def test_without_a_model_nothing_begins_and_the_next_step_is_told(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    refused = await anna.post(SETS, {"collection": COLLECTION}, expect=409)
    assert refused["code"] == "no_model" and refused["next_step"]
    assert by_hand.rows("select 1 from photo_sets") == []


async def test_a_model_that_is_gone_stops_the_set_until_there_is_one(by_hand: ByHand) -> None:
    anna = await by_hand.member()
    await by_hand.trained(anna)
    begun = await shoot(anna)
    lost = "active_version_id = null, replicate_model_id = null, replicate_version_id = null"
    [kept] = by_hand.rows(
        "select active_version_id, replicate_model_id, replicate_version_id from user_models"
    )
    by_hand.run(f"update user_models set {lost}")
    await until_still(by_hand)
    waits = await seen(anna, begun)
    assert (waits["status"], waits["why_paused"], waits["resumes_at"]) == ("paused", "model", None)
    assert (await anna.post(f"{SETS}/{begun['id']}/go-on", expect=409))["code"] == "no_model"
    by_hand.run(f"update user_models set {lost.replace('null', '%s')}", *kept)
    await anna.post(f"{SETS}/{begun['id']}/go-on")
    await until_still(by_hand)
    assert (await seen(anna, begun))["status"] == "done"


async def test_a_large_set_lets_another_member_in(by_hand: ByHand) -> None:
    anna, ben = await by_hand.member(), await by_hand.member("name:ben")
    for member in (anna, ben):
        await by_hand.trained(member)
    for _ in range(2):
        await shoot(anna)
    await turn(by_hand)
    assert len(generations(by_hand, anna)) == 2 * AT_ONCE
    asked = await ben.post("/api/v1/generations", {"prompt": "in a garden"})
    await by_hand.parts.sweeper.admit("generation")
    [(admitted,)] = by_hand.rows(
        "select admitted_at is not null from generation_trackers where id = %s", asked["id"]
    )
    assert admitted


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"collection": "nothing"}, 404, "collection_not_found"),
        ({"collection": COLLECTION, "look": "alpine-pass"}, 404, "look_not_found"),
        ({"collection": COLLECTION, "colours": ["ultraviolet"]}, 422, "colour_unknown"),
        ({"collection": "black-and-white", "colours": ["navy"]}, 422, "colours_unused"),
        ({"collection": COLLECTION, "prompt": "naked"}, 422, "request_invalid"),
    ],
    ids=["collection", "look", "colour", "monochrome", "words"],
)
async def test_what_is_not_offered_is_refused(
    by_hand: ByHand, body: dict[str, object], status: int, code: str
) -> None:
    anna = await by_hand.member(photos=0)
    refused = await anna.post(SETS, body, expect=status)
    assert refused["code"] == code


async def test_no_more_than_five_sets_are_under_way_and_nobody_sees_anothers(by_hand: ByHand) -> None:
    anna, ben = await by_hand.member(), await by_hand.member("name:ben", photos=0)
    await by_hand.trained(anna)
    sets = [await shoot(anna) for _ in range(MOST_UNFINISHED)]
    assert (await anna.post(SETS, {"collection": COLLECTION}, expect=409))["code"] == "too_many_sets"
    for path in ("", "/cancel", "/pause", "/go-on"):
        ask = ben.http.get if not path else ben.http.post
        answer = await ask(f"{SETS}/{sets[0]['id']}{path}")
        assert answer.status_code == 404 and answer.json()["code"] == "set_not_found"
    assert (await ben.get(SETS))["items"] == []
    assert (await ben.http.get(f"{SETS}/{uuid4()}")).json()["code"] == "set_not_found"


async def test_collections_covers_and_colours_are_shown_without_a_prompt(by_hand: ByHand) -> None:
    anna = await by_hand.member(photos=0)
    answer = await anna.http.get("/api/v1/photoshoot/collections")
    items = answer.json()["items"]
    assert len(items) >= 8 and all(len(each["looks"]) >= 8 for each in items)
    assert "mm lens" not in answer.text and "cashmere over" not in answer.text
    one = await anna.get(f"/api/v1/photoshoot/collections/{COLLECTION}")
    assert one == items[0]
    cover = await anna.http.get(f"/api/v1/photoshoot/collections/{COLLECTION}/cover")
    assert cover.headers["content-type"] == "image/svg+xml" and cover.text.startswith("<svg ")
    colours = (await anna.get("/api/v1/photoshoot/colours"))["items"]
    assert {"name": "camel", "hex": "#b98b56"} in colours
    assert (await anna.http.get("/api/v1/photoshoot/collections/none/cover")).json()[
        "code"
    ] == "collection_not_found"
