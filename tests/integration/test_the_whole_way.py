"""Photos in, model trained, verified and promoted, pictures stored: through the API, against a fake provider."""

from pathlib import Path

import pytest
from tests.integration.conftest import Studio

pytestmark = pytest.mark.anyio


async def test_photos_become_a_model_and_the_model_makes_stored_pictures(
    studio: Studio, astronaut: Path
) -> None:
    member = await studio.member("name:anna")
    await member.consent()
    judged = await member.upload(astronaut)
    assert [item["reason"] for item in judged if item["status"] == "rejected"] == []

    training = await member.post("/api/v1/trainings")
    done = await member.until(f"/api/v1/trainings/{training['id']}", "completed", "failed")

    assert done["error"] is None
    assert done["active"] is True
    assert done["trigger_word"] == f"user{member.id}"
    assert done["version"].startswith(f"studio/{member.id}-selfie-lora:")
    assert sorted(done["photos"]) == sorted(item["source_sha256"] for item in judged)

    asked = await member.post("/api/v1/generations", {"prompt": "in a garden, soft morning light"})
    made = await member.until(f"/api/v1/generations/{asked['id']}", "completed", "failed")

    assert made["error"] is None
    assert [image["index"] for image in made["images"]] == [0, 1, 2]
    assert made["version"] == done["version"]
    for image in made["images"]:
        answer = await member.http.get(f"/api/v1/images/{image['id']}/file")
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"] == "private, no-store"
        assert len(answer.content) == image["bytes"]
