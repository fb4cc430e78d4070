"""Several provider accounts: a model lives where it was trained, room is shown and kept to, tokens stay outside."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fakes.serving import served
from tests.integration.by_hand import ByHand, studio_by_hand
from tests.integration.cloud import MoodyCloud
from tests.integration.conftest import Member

from portraitist.kit.embedded_postgres import Server
from portraitist.studio.provider import accounts
from portraitist.studio.provider.accounts import AccountChanged, AccountsInvalid, checked, read_file

pytestmark = pytest.mark.anyio
CLOUD = "https://api.replicate.com"


@dataclass
class Two:
    studio: ByHand
    second: MoodyCloud


@pytest.fixture
async def two(postgres: Server, studio_database: str, tmp_path: Path) -> AsyncIterator[Two]:
    """A studio with two accounts at two providers."""
    second = MoodyCloud(username="annex", token="r8_of_the_annex")
    with served(second) as url:
        file = tmp_path / "accounts.toml"
        file.write_text(
            f'[[account]]\nid = "annex"\nusername = "annex"\ntoken = "r8_of_the_annex"\nbase_url = "{url}/v1"\n'
        )
        changes = {"provider_accounts_file": file}
        async with studio_by_hand(postgres, studio_database, tmp_path, **changes) as studio:
            second.moved_clock = studio.clock
            yield Two(studio, second)


async def make(two: Two, member: Member) -> str:
    asked = await member.post("/api/v1/generations", {"prompt": "in a garden"})
    done = await two.studio.until(member, f"/api/v1/generations/{asked['id']}", "completed", "failed")
    return str(done["version"])


async def test_a_moved_member_keeps_the_old_model_at_its_account_and_trains_at_the_new_one(two: Two) -> None:
    member = await two.studio.member()
    first = await two.studio.trained(member)
    assert first["version"].startswith("studio/")
    path = f"/api/v1/operator/members/{member.id}/account"
    assert (await member.http.put(path, json={"account_id": "annex"})).status_code == 403
    assert (await two.studio.operator("PUT", path, json={"account_id": "nowhere"})).status_code == 404
    assert (await two.studio.operator("PUT", path, json={"account_id": "annex"})).status_code == 200
    nobodys = path.replace(member.id, "z" * 12)
    assert (await two.studio.operator("PUT", nobodys, json={"account_id": "annex"})).status_code == 404

    assert await make(two, member) == first["version"]
    assert two.second.runs == {}
    second = await two.studio.trained(member)
    assert second["version"].startswith("annex/")
    assert await make(two, member) == second["version"]
    assert len(two.second.predictions()) == 1
    models = await member.get("/api/v1/models")
    [earlier] = [v for v in models["versions"] if v["version"] == first["version"]]
    await member.post(f"/api/v1/models/{earlier['id']}/activate")
    assert await make(two, member) == first["version"]
    assert len(two.studio.cloud.predictions()) == 2


async def test_a_full_account_passes_new_members_on_and_keeps_its_own(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    first, annex = two.studio.web.state.accounts
    two.studio.web.state.accounts = (replace(first, models_limit=1), replace(annex, models_limit=1))
    anna, ben, cleo = [await two.studio.member(f"name:{name}") for name in ("anna", "ben", "cleo")]
    assert (await two.studio.trained(anna))["version"].startswith("studio/")
    assert (await two.studio.trained(ben))["version"].startswith("annex/")
    refusal = await cleo.post("/api/v1/trainings", expect=409)
    assert refusal["code"] == "no_room_for_models"
    assert refusal["next_step"]
    assert (await two.studio.trained(anna))["version"].startswith("studio/")
    shown = (await two.studio.operator("GET", "/api/v1/status")).json()["accounts"]
    assert [(a["id"], a["models_used"], a["models_limit"]) for a in shown] == [
        ("engine", 1, 1),
        ("annex", 1, 1),
    ]


async def test_no_token_of_any_account_is_in_the_database_or_the_status(two: Two) -> None:
    await two.studio.trained(await two.studio.member())
    tables = two.studio.rows("select table_name from information_schema.tables where table_schema = 'public'")
    for (table,) in tables:
        for (row,) in two.studio.rows(f"select t::text from {table} t"):
            assert "r8_" not in row, table
    assert "r8_" not in (await two.studio.operator("GET", "/api/v1/status")).text


async def test_an_id_that_stands_for_another_account_is_refused_at_the_start(
    postgres: Server, studio_database: str, tmp_path: Path
) -> None:
    async with studio_by_hand(postgres, studio_database, tmp_path):
        pass
    with pytest.raises(AccountChanged) as refusal:
        async with studio_by_hand(postgres, studio_database, tmp_path, replicate_username="somebody"):
            pass
    assert refusal.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        "[[account",
        'account = "x"',
        "[[account]]\nid = 'a'\nusername = 'b'",
        "[[account]]\nid = 'a'\nusername = ''\ntoken = 'r8_secret'",
        "[[account]]\nid = 'a'\nusername = 'b'\ntoken = 'r8_secret'\ncolour = 'red'",
        "[[account]]\nid = 'a'\nusername = 'b'\ntoken = 5",
        "[[account]]\nid = 'a'\nusername = 'b'\ntoken = 'r8_secret'\nbase_url = 'nonsense'",
        "[[account]]\nid = 'A B'\nusername = 'b'\ntoken = 'r8_secret'",
        "[[account]]\nid = 'a'\nusername = 'b'\ntoken = 'r8_secret'\n" * 2,
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_never_shows_a_token(tmp_path: Path, text: str) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(text)
    with pytest.raises(AccountsInvalid) as refusal:
        checked(read_file(file, CLOUD))
    assert "r8_" not in str(refusal.value)


def test_an_account_at_the_cloud_holds_a_thousand_models_and_an_own_engine_any_number(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(
        "[[account]]\nid = 'one'\nusername = 'b'\ntoken = 't'\n"
        "[[account]]\nid = 'two'\nusername = 'b'\ntoken = 't'\nbase_url = 'http://gpu.example/v1'\n"
    )
    one, two = read_file(file, CLOUD)
    assert (one.models_limit, two.models_limit) == (1000, None)
    assert accounts.first_with_room([one, two], {"one": 999}) is one
    assert accounts.first_with_room([one, two], {"one": 1000}) is two
    assert accounts.first_with_room([one], {"one": 1000}) is None
