"""The ten rules of prompt craft: each is found broken, composed prompts keep them all, repairing takes no word away."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitist.studio.prompting.compose import compose
from portraitist.studio.prompting.craft import (
    LENSES,
    SUBJECT,
    Parts,
    ShotType,
    composed,
    count_words,
    lint_card,
)
from portraitist.studio.prompting.repair import repair

TRIGGER = "userk3v9x2m7q1ab"
GOOD = (
    "person wearing a tailored charcoal wool coat with a relaxed fit, one hand resting in the coat pocket, standing on "
    "a quiet city bridge, soft low light from behind in the early morning, calm and confident mood, "
    "half-body portrait, 50 mm lens at f/2, visible weave and fine film grain"
)
OUTFITS = st.sampled_from(
    ["a relaxed linen shirt", "a tailored wool suit", "a fluid silk dress with a belted waist"]
)
POSES = st.sampled_from(["one hand in a pocket", "both hands around a cup", "fingertips on the railing"])
PLACES = st.sampled_from(["on a stone terrace", "in a quiet library", "by a harbour"])
LIGHTS = st.sampled_from(
    ["soft window light from the left in the morning", "warm low backlight at dusk", "crisp studio key light"]
)
MOODS = st.sampled_from(["calm mood", "assured and unhurried", "playful mood"])
PARTS = st.builds(Parts, outfit=OUTFITS, pose=POSES, place=PLACES, light=LIGHTS, mood=MOODS)
SUBJECTS = st.sampled_from(["woman", "man", "person", "gardener", None])
SHOTS = st.sampled_from(list(ShotType))
ANY = st.text(max_size=300)


def rules(prompt: str, shot: ShotType = ShotType.HALF_BODY, **more: object) -> set[str]:
    said = {"trigger": None, "subject": "person", **more}
    return {finding.rule for finding in lint_card(prompt, shot=shot, **said)}  # type: ignore[arg-type]


def test_a_well_made_prompt_has_no_finding() -> None:
    assert rules(GOOD) == set()
    assert rules(f"{TRIGGER} {GOOD}", trigger=TRIGGER) == set()


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("subject", "person wearing", "wearing"),
        ("one_moment", "wool coat", "wool coat or a jacket"),
        ("fabric", "wool ", ""),
        ("fit", "a tailored charcoal wool coat with a relaxed fit", "a charcoal wool coat"),
        ("place", "standing on a quiet city bridge", "standing still"),
        ("light_direction", "low light from behind", "light"),
        ("light_quality", "soft ", ""),
        ("light_time", " in the early morning", ""),
        ("lens", "50 mm", "85 mm"),
        ("lens", "50 mm lens at f/2", "lens at f/2"),
        ("lens", "50 mm lens", "50 mm and 35 mm lens"),
        ("aperture", "f/2", "f/8"),
        ("shot", "half-body portrait", "close-up portrait"),
        ("texture", "visible weave and fine film grain", "picture"),
        ("hands", "one hand resting in the coat pocket", "resting"),
        ("tangled", "one hand resting in the coat pocket", "arms crossed"),
        ("mood", "calm and confident mood", "look"),
        ("weights", "wool", "(wool:1.4)"),
        ("weights", "wool", "wool <lora:coats:0.8>"),
        ("weights", "film grain", "film grain --ar 3"),
        ("negative", "calm and", "calm without a hat and"),
        ("monochrome", "fine film grain", "fine film grain in black and white"),
        ("person", "person wearing", "person with smooth skin wearing"),
        ("gender", "the coat pocket", "her coat pocket"),
        ("imitation", "calm and", "in the style of somebody, calm and"),
        ("trigger", "person wearing", f"person {TRIGGER} wearing"),
    ],
)
def test_each_broken_rule_is_named(rule: str, old: str, new: str) -> None:
    assert old in GOOD
    assert rule in rules(GOOD.replace(old, new, 1))


def test_a_prompt_of_few_or_very_many_words_is_found() -> None:
    assert "length" in rules("person")
    assert "length" in rules(GOOD + " and stone" * 60)


def test_the_trigger_word_comes_first_and_once() -> None:
    assert "trigger" in rules(GOOD, trigger=TRIGGER)
    assert "trigger" in rules(f"{TRIGGER} {GOOD} {TRIGGER.upper()}", trigger=TRIGGER)


def test_what_the_member_said_of_themselves_and_asked_for_is_theirs() -> None:
    prompt = GOOD.replace("calm", "freckled and calm") + " in black and white"
    assert rules(prompt) == {"person", "monochrome"}
    assert rules(prompt, said="I am freckled!", monochrome=True) == set()
    assert "gender" in rules(GOOD.replace("the coat", "he has the coat"), said="the heath")


@given(PARTS, SUBJECTS, SHOTS)
def test_composed_prompts_keep_every_rule(parts: Parts, subject: str | None, shot: ShotType) -> None:
    prompt = composed(parts, subject=subject, shot=shot)
    assert lint_card(prompt, trigger=None, subject=subject, shot=shot) == ()
    assert f"{LENSES[shot].millimetres} mm" in prompt


@given(PARTS, SHOTS)
def test_a_composed_prompt_is_sent_with_the_trigger_first_and_once(parts: Parts, shot: ShotType) -> None:
    sent = compose(composed(parts, subject="person", shot=shot), trigger=TRIGGER, subject="person")
    assert lint_card(sent, trigger=TRIGGER, subject="person", shot=shot) == ()
    assert sent.count("person") == 1


@given(ANY, PARTS, SHOTS)
def test_words_of_the_member_are_in_the_prompt_in_whole(words: str, parts: Parts, shot: ShotType) -> None:
    assert words.strip(" ,") in composed(parts, subject="person", shot=shot, words=words)


@given(st.one_of(ANY, PARTS.map(lambda parts: f"({parts.outfit}:1.2), {parts.place}")), SUBJECTS, SHOTS)
def test_repairing_takes_no_word_away_and_leaves_nothing_that_it_could_repair(
    prompt: str, subject: str | None, shot: ShotType
) -> None:
    mended = repair(prompt, trigger=TRIGGER, subject=subject, shot=shot)
    left = iter(re.findall(r"[^\W\d_]+", mended))
    assert all(word in left for word in re.findall(r"[^\W\d_]+", prompt.replace(TRIGGER, "")))
    findings = lint_card(mended, trigger=TRIGGER, subject=subject, shot=shot)
    assert not [finding.rule for finding in findings if finding.repairable]
    assert repair(mended, trigger=TRIGGER, subject=subject, shot=shot) == mended


@given(ANY, SHOTS)
def test_any_text_can_be_linted(prompt: str, shot: ShotType) -> None:
    assert lint_card(prompt, trigger=None, subject=None, shot=shot)


def test_a_template_holds_the_place_of_the_subject_word() -> None:
    template = GOOD.replace("person", SUBJECT, 1)
    assert lint_card(template, trigger=None, subject=None, shot=ShotType.HALF_BODY) == ()
    assert repair(template, trigger=None, subject=None, shot=ShotType.HALF_BODY) == template


def test_words_are_counted_as_people_count_them() -> None:
    assert count_words("50 mm lens at f/2, – calm") == 6
