"""What no picture is made of, however it is spelt; and what is none of that."""

import random
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fakes.llm_server import GOOD_PROMPTS
from tests.unit.studio.prompting import word_by_word

from portraitist.studio.prompting import phrases, reading, refusing
from portraitist.studio.prompting.compose import LONGEST_PROMPT
from portraitist.studio.prompting.refusing import PromptRefused, Refusals, people_of

CORPUS = tomllib.loads(Path(__file__).with_name("refused.toml").read_text())
MUST_REFUSE = [(words, code) for code, prompts in CORPUS["refused"].items() for words in prompts]
MUST_PASS = CORPUS["passes"]["plain"]
LISTS = (
    *("sexual", "suggestive", "always_minors", "minors"),
    *("harmless", "leading", "beside", "old_things"),
)
# One-word prompts whose letters the property tests rearrange; digits of ages are letters to nobody.
SHORT = ["nude", "naked", "porn", "topless", "nsfw", "child", "toddler", "schoolgirl", "underage", "hentai"]


def code_of(words: str, people: tuple[str, ...] = ()) -> str | None:
    try:
        Refusals(people).check(words)
    except PromptRefused as refused:
        assert refused.status == 422
        assert refused.next_step
        return refused.code
    return None


@pytest.mark.parametrize(("words", "code"), MUST_REFUSE)
def test_the_plainly_forbidden_is_refused_with_its_code(words: str, code: str) -> None:
    assert code_of(words) == code
    assert code_of(f"woman, {words}") == code


@pytest.mark.parametrize("words", MUST_PASS)
def test_harmless_words_pass(words: str) -> None:
    assert code_of(words) is None
    assert code_of(f"woman, {words}") is None


def cases(rng: random.Random, word: str) -> str:
    return "".join(rng.choice((letter.lower(), letter.upper())) for letter in word)


def hidden(rng: random.Random, word: str) -> str:
    invisible = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\ufe0f"
    return "".join(letter + rng.choice(("", rng.choice(invisible))) for letter in word)


def accents(rng: random.Random, word: str) -> str:
    return "".join(letter + rng.choice(("", "\u0301", "\u0308", "\u0336")) for letter in word)


def spaced(rng: random.Random, word: str) -> str:
    return rng.choice((" ", ".", "-", "_", "*", "  ", " - ", "·")).join(word)


def split_once(rng: random.Random, word: str) -> str:
    place = rng.randrange(1, len(word))
    return word[:place] + rng.choice("-.*_·~") + word[place:]


def leet(rng: random.Random, word: str) -> str:
    digits = {"o": "0", "i": "1!|", "l": "1", "e": "3€", "a": "4@", "s": "5$", "t": "7", "b": "8", "g": "9"}
    middle = (rng.choice(digits.get(letter, letter) + letter) for letter in word[1:-1])
    return word[0] + "".join(middle) + word[-1]


def alike(rng: random.Random, word: str) -> str:
    cyrillic = dict(zip("aekmopctyxijs", "аекморстухіјѕ", strict=True))
    return "".join(rng.choice((letter, cyrillic.get(letter, letter))) for letter in word)


def wide(rng: random.Random, word: str) -> str:
    first = rng.choice((0xFF41, 0x1D41A, 0x1D4EA, 0x24D0))  # full width, bold, script, in circles
    return "".join(chr(first + ord(letter) - ord("a")) for letter in word)


def held_on(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word))
    return word[:place] + word[place] * rng.randint(3, 9) + word[place + 1 :]


WAYS: list[Callable[[random.Random, str], str]] = [
    cases, hidden, accents, spaced, split_once, leet, alike, wide, held_on,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@settings(max_examples=40)
@given(
    word=st.sampled_from(SHORT),
    seed=st.integers(0, 2**32),
    around=st.sampled_from(["{}", "woman, {}, soft light"]),
)
def test_no_spelling_leads_around_a_refusal(
    way: Callable[[random.Random, str], str], word: str, seed: int, around: str
) -> None:
    spelt = way(random.Random(seed), word)
    assert code_of(around.format(spelt)) == code_of(word), spelt


@given(word=st.sampled_from(SHORT), seed=st.integers(0, 2**32))
def test_two_disguises_at_once_do_not_help(word: str, seed: int) -> None:
    rng = random.Random(seed)
    for way in rng.sample([alike, leet], 1) + rng.sample([cases, accents, hidden], 2):
        word = way(rng, word)
    assert code_of(word) is not None, unicodedata.normalize("NFC", word)


def test_planted_bug_a_reading_without_look_alikes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of("nаkеd") == "prompt_sexual"
    monkeypatch.setattr(reading, "_ALIKE", {})
    monkeypatch.setattr(reading, "_PLAIN", reading.Plain())
    assert code_of("nаkеd") is None


FRAGMENTS = [
    *(line for name in LISTS for line in phrases.lines_of(name)),
    *("12", "seventeen", "twenty", "years", "old", "yo", "age", "of", "jahre", "alt", "girl", "boy", "house"),
    *(
        "ada",
        "Ada Lovelace's",
        "adalovelace",
        "f/2.8",
        "35mm",
        "b.o.y",
        "k i d",
        "nuuude",
        "3 y o",
        "ﷺ",
        "_a_",
    ),
]


@settings(max_examples=300)
@given(
    said=st.lists(
        st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=4), st.sampled_from(MUST_PASS)),
        max_size=7,
    ),
    between=st.sampled_from([" ", " ", ", ", "-", ". ", "", "_", "*"]),
)
def test_the_quick_way_answers_as_every_rule_at_every_word(said: list[str], between: str) -> None:
    words, people = between.join(said), ("Ada Lovelace", "Grace Hopper")
    assert set(reading.readings(words)) == word_by_word.readings(words)
    assert code_of(words, people) == word_by_word.code_of(words, people)


def test_the_quick_way_answers_the_corpus_as_every_rule_at_every_word() -> None:
    for words in (*MUST_PASS, *(words for words, _ in MUST_REFUSE)):
        assert code_of(words) == word_by_word.code_of(words, ()), words


def test_planted_bug_ages_that_are_looked_for_in_too_few_texts_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = tuple((("yearly",), pattern) for _, pattern in refusing._AGES)
    monkeypatch.setattr(refusing, "_AGES", few)
    assert code_of("twelve years old") != word_by_word.code_of("twelve years old", ())


def test_an_ordinary_prompt_is_looked_up_a_few_times_and_not_in_every_list_at_every_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted in comparisons, not in milliseconds: each check stands in front of every picture, on the event loop."""
    compared: list[phrases.Phrase] = []
    fits = phrases._fits

    def counted(words: reading.Words, phrase: phrases.Phrase) -> bool:
        compared.append(phrase)
        return fits(words, phrase)

    monkeypatch.setattr(phrases, "_fits", counted)
    assert code_of(GOOD_PROMPTS["half_body"], ("Ada Lovelace",)) is None
    assert 0 < len(compared) < 100


@given(st.text(max_size=300))
@example("\0")
@example("_ " * 150)
@example("ﷺ" * 100)
def test_any_text_gets_an_answer(words: str) -> None:
    assert code_of(words) in {None, *CORPUS["refused"]}


@pytest.mark.parametrize("filler", ["a ", "a,", "_ ", "a$", "girl ", "12 ", "\u200b", "ﷺ", "a_"])
def test_the_longest_prompt_is_read_in_linear_time(filler: str) -> None:
    """Counted in readings made, not in seconds: the machine is shared."""
    words = (filler * LONGEST_PROMPT)[:LONGEST_PROMPT]
    read = sum(len(word) for way in reading.readings(words) for word in way)
    assert read <= 15 * reading.LONGEST_LETTER * LONGEST_PROMPT
    code_of(words)


def test_nobody_is_named_unless_the_operator_says_so() -> None:
    assert code_of("portrait in the style of Ada Lovelace") is None


@pytest.mark.parametrize(
    "words",
    [
        "as Ada Lovelace",
        "ADA LOVELACE",
        "ada-lovelace",
        "Ada  Lovelace's desk",
        "adalovelace",
        "Аdа Lоvеlасе",
        "4d4 l0vel4ce",
    ],
)
def test_people_on_the_operators_list_are_refused(words: str) -> None:
    assert code_of(words, ("Ada Lovelace", "Grace Hopper")) == "prompt_named_person"


def test_parts_of_a_name_and_other_people_pass() -> None:
    for words in ("ada in a garden", "lovelace street", "armada lovelaces", "a hopper of grain, with grace"):
        assert code_of(words, ("Ada Lovelace", "Grace Hopper")) is None


def test_an_operators_list_has_a_name_on_each_line() -> None:
    assert people_of("# nobody\n\nAda Lovelace  # mathematician\nÉmilie du Châtelet\n") == (
        "Ada Lovelace",
        "Émilie du Châtelet",
    )
    for wrong in ("x\n", "...\n"):
        with pytest.raises(ValueError, match="two letters"):
            people_of(wrong)


def test_the_refusal_repeats_none_of_the_words() -> None:
    with pytest.raises(PromptRefused) as refused:
        Refusals().check("naked on a unicycle")
    assert "naked" not in f"{refused.value} {refused.value.next_step}"


def test_the_lists_hold_words_once_and_as_prompts_are_read() -> None:
    for name in LISTS:
        folder = Path(refusing.__file__).parent / "refused"
        lines = [
            line for line in (folder / f"{name}.txt").read_text().splitlines() if not line.startswith("#")
        ]
        assert all(line == reading.plain(line).strip() and line for line in lines), name
        assert len(lines) == len(set(lines)), name
