"""What a member sees of a running training, and what the studio learns from it."""

from datetime import timedelta

import pytest
from tests.integration.by_hand import ByHand

pytestmark = pytest.mark.anyio


async def test_the_second_training_has_an_estimate_learned_from_the_first(by_hand: ByHand) -> None:
    by_hand.cloud.statuses_of_a_training = ["starting", *["processing"] * 40, "succeeded"]
    anna, ben = await by_hand.member(), await by_hand.member("name:ben")
    first = await anna.post("/api/v1/trainings")
    assert first["eta_seconds"] is None
    await by_hand.until(anna, f"/api/v1/trainings/{first['id']}", "completed")
    [(ran,)] = by_hand.rows("select ran_s from training_durations")
    assert ran > timedelta(minutes=5).total_seconds()

    second = await ben.post("/api/v1/trainings")
    assert second["eta_seconds"] >= ran
    path = f"/api/v1/trainings/{second['id']}"
    running = await by_hand.until(ben, path, "training")
    while running["step"] is None:
        await by_hand.step()
        running = await ben.get(path)
    assert (running["progress_source"], running["percent"]) == ("log", 50)
    assert ran / 2 <= running["eta_seconds"] <= ran / 2 + 120
    done = await by_hand.until(ben, path, "completed")
    assert (done["percent"], done["eta_seconds"]) == (100, None)


async def test_a_provider_without_logs_leaves_phases_and_time_elapsed(by_hand: ByHand) -> None:
    by_hand.cloud.statuses_of_a_training = ["starting", *["processing"] * 40, "succeeded"]
    real = by_hand.cloud._train

    def silent(run: object, status: str) -> None:
        real(run, status)  # type: ignore[arg-type]
        run.shown["logs"] = ""  # type: ignore[attr-defined]

    by_hand.cloud._train = silent  # type: ignore[method-assign]
    member = await by_hand.member()
    training = await member.post("/api/v1/trainings")
    path = f"/api/v1/trainings/{training['id']}"
    running = await by_hand.until(member, path, "training")
    assert running["progress_source"] == "elapsed"
    assert (running["percent"], running["step"], running["eta_seconds"]) == (None, None, None)
    await by_hand.until(member, path, "completed")


async def test_durations_name_nobody(by_hand: ByHand) -> None:
    columns = by_hand.rows(
        "select column_name from information_schema.columns where table_name = 'training_durations'"
    )
    assert {name for (name,) in columns} == {"id", "account_id", "day", "waited_s", "ran_s", "checked_s"}
