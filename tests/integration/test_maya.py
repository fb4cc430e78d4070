"""Conversations with Maya: cards, shooting, refining, memory and style, without a language model."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from tests.integration.by_hand import ByHand
from tests.integration.conftest import Member

from portraitist.studio.prompting.craft import ShotType, lint_card

pytestmark = pytest.mark.anyio


async def chat(member: Member) -> str:
    return str((await member.post("/api/v1/maya/chats"))["id"])


async def said(member: Member, chat_id: str, words: str, **more: Any) -> Any:
    return await member.post(f"/api/v1/maya/chats/{chat_id}/messages", {"words": words, **more})


async def clicked(member: Member, path: str, body: Any = None) -> httpx2.Response:
    """A change with one key, as a button sends it however often it is pressed."""
    return await member.http.post(path, json=body, headers={"Idempotency-Key": "one click"})


async def test_an_idea_becomes_cards_that_are_shot_with_their_stored_prompt(by_hand: ByHand) -> None:
    member = await by_hand.member()
    await by_hand.trained(member)
    talk = await chat(member)
    turn = await said(member, talk, "on a sailing boat in a yellow raincoat")
    answer = turn["answer"]
    assert answer["status"] == "answered"
    assert 3 <= len(answer["cards"]) <= 6
    assert 2 <= len(answer["suggestions"]) <= 4
    assert len({card["title"] for card in answer["cards"]}) == len(answer["cards"])
    rows = by_hand.rows("select id::text, prompt, shot from concept_cards")
    for _, prompt, shot in rows:
        assert lint_card(prompt, trigger=None, subject="person", shot=ShotType(shot)) == ()
    card = answer["cards"][0]
    clicks = [await clicked(member, f"/api/v1/maya/cards/{card['id']}/shoot") for _ in range(2)]
    made = clicks[0].json()
    assert made["id"] == clicks[1].json()["id"]
    assert made["words"] == card["title"]
    [(prompt,)] = by_hand.rows("select prompt from generation_trackers")
    stored = {row[0]: row[1] for row in rows}
    assert prompt == f"user{member.id} {stored[card['id']]}"
    await by_hand.until(member, f"/api/v1/generations/{made['id']}", "completed")
    seen = await member.get(f"/api/v1/maya/chats/{talk}")
    shots = seen["messages"][1]["cards"][0]["generations"]
    assert [len(shot["images"]) for shot in shots] == [3]
    assert "mm lens" not in str(seen)


async def test_a_card_is_refined_with_its_lineage(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    talk = await chat(member)
    first = (await said(member, talk, "a quiet day at home"))["answer"]["cards"][1]
    for words in ("More like this", "Warmer", "Another place", "Same outfit, evening"):
        answer = (await said(member, talk, words, card_id=first["id"]))["answer"]
        assert len(answer["cards"]) >= 3, words
        assert {card["parent_id"] for card in answer["cards"]} == {first["id"]}
    by_word = (await said(member, talk, "warmer please"))["answer"]
    assert by_word["cards"][0]["parent_id"] == answer["cards"][0]["id"]


async def test_without_a_model_she_names_the_next_step_and_nothing_is_shot(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=3)
    answer = (await said(member, await chat(member), "by the sea"))["answer"]
    assert "ten good photos" in answer["text"]
    assert "previews" not in answer["text"]
    refused = await member.http.post(f"/api/v1/maya/cards/{answer['cards'][0]['id']}/shoot")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_photos_yet")
    assert by_hand.rows("select id from generation_trackers") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [("nude on the beach", "prompt_sexual"), ("a 12 year old", "prompt_minor"), ("   ", "maya_words_empty")],
)
async def test_what_is_refused_is_not_stored(by_hand: ByHand, words: str, code: str) -> None:
    member = await by_hand.member(photos=0)
    talk = await chat(member)
    answer = await member.http.post(f"/api/v1/maya/chats/{talk}/messages", json={"words": words})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await member.get(f"/api/v1/maya/chats/{talk}"))["messages"] == []


async def test_the_same_key_is_one_turn(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    talk = await chat(member)
    path = f"/api/v1/maya/chats/{talk}/messages"
    turns = [(await clicked(member, path, {"words": "by the sea"})).json() for _ in range(2)]
    assert turns[0]["answer"]["id"] == turns[1]["answer"]["id"]
    assert len((await member.get(f"/api/v1/maya/chats/{talk}"))["messages"]) == 2
    assert (await clicked(member, path, {"words": "other words"})).json()["code"] == "key_reused"


async def test_an_answer_comes_in_pieces_where_a_stream_is_asked_for(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    talk = await chat(member)
    answer = await member.http.post(
        f"/api/v1/maya/chats/{talk}/messages",
        json={"words": "in the mountains"},
        headers={"Accept": "text/event-stream"},
    )
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [part.split("\n")[0] for part in answer.text.strip().split("\n\n")]
    assert events[0] == "event: words"
    assert events[-1] == "event: turn"


async def test_an_interrupted_answer_can_be_asked_for_again(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    talk = await chat(member)
    turn = await said(member, talk, "by the sea")
    by_hand.run("update maya_messages set status = 'answering', text = '' where role = 'maya'")
    busy = await member.http.post(f"/api/v1/maya/chats/{talk}/messages", json={"words": "and now"})
    assert busy.json()["code"] == "maya_answering"
    by_hand.clock.move(timedelta(minutes=4))
    seen = await member.get(f"/api/v1/maya/chats/{talk}")
    assert seen["messages"][1]["error_code"] == "maya_slow"
    by_hand.run("delete from concept_cards")
    again = await member.post(f"/api/v1/maya/messages/{turn['answer']['id']}/again")
    assert again["answer"]["status"] == "answered"
    await member.post(f"/api/v1/maya/messages/{turn['answer']['id']}/again", expect=409)


async def test_style_and_memory_are_the_members_to_read_and_change(by_hand: ByHand) -> None:
    member = await by_hand.member(photos=0)
    style = {
        "colours": ["navy", " navy ", ""],
        "settings": ["by the sea"],
        "limits": " calm ",
        "no_go": ["sofa"],
    }
    kept = (await member.http.put("/api/v1/maya/style", json=style)).json()
    assert kept == {"colours": ["navy"], "settings": ["by the sea"], "limits": "calm", "no_go": ["sofa"]}
    answer = (await said(member, await chat(member), "cosy at home. I love linen."))["answer"]
    assert "navy" in by_hand.rows("select string_agg(prompt, ' ') from concept_cards")[0][0]
    assert "sofa" not in str(answer["cards"]).lower()
    [note] = (await member.get("/api/v1/maya/memory"))["items"]
    assert (note["note"], note["source"]) == ("I love linen", "maya")
    changed = await member.http.patch(f"/api/v1/maya/memory/{note['id']}", json={"note": "Linen, always"})
    assert (changed.json()["note"], changed.json()["source"]) == ("Linen, always", "member")
    await member.post("/api/v1/maya/memory", {"note": "Linen, always"}, expect=409)
    await member.post("/api/v1/maya/memory", {"note": " "}, expect=422)
    assert (await member.http.delete(f"/api/v1/maya/memory/{note['id']}")).status_code == 204
    assert (await member.get("/api/v1/maya/memory"))["items"] == []


async def test_a_deleted_conversation_takes_its_cards_along_and_leaves_its_pictures(by_hand: ByHand) -> None:
    member = await by_hand.member()
    await by_hand.trained(member)
    talk = await chat(member)
    card = (await said(member, talk, "by the sea"))["answer"]["cards"][0]
    made = await member.post(f"/api/v1/maya/cards/{card['id']}/shoot")
    assert (await member.http.delete(f"/api/v1/maya/chats/{talk}")).status_code == 204
    assert by_hand.rows("select count(*) from concept_cards") == [(0,)]
    assert (await member.get(f"/api/v1/generations/{made['id']}"))["words"] == card["title"]
    assert (await member.get("/api/v1/maya/chats"))["items"] == []
