"""The tokenizer keeps concepts whole and a member's trigger word a word of its own."""

from portraitist.engine.tiny.text import MEMBER, TOKENS, UNKNOWN, make_tokenizer, numbers_of, vocabulary
from portraitist.engine.tiny.words import CONCEPTS, LOOKS, ONE_OF


def test_every_concept_and_look_is_one_known_token() -> None:
    tokenizer = make_tokenizer()
    for word in (*CONCEPTS, *LOOKS):
        inner = numbers_of(tokenizer, [word])[0].tolist()[1:]
        assert inner[1] == vocabulary()["</s>"], word
        assert inner[0] != vocabulary()[UNKNOWN], word


def test_the_trigger_word_takes_the_place_of_the_spare_word() -> None:
    own, base = make_tokenizer("userAB12"), make_tokenizer()
    assert numbers_of(own, ["userab12, person"]).tolist() == numbers_of(base, [f"{MEMBER}, person"]).tolist()
    assert numbers_of(base, ["userab12"])[0, 1] == vocabulary()[UNKNOWN]


def test_natural_text_and_a_caption_make_the_same_tokens() -> None:
    tokenizer = make_tokenizer()
    both = numbers_of(tokenizer, ["person, in a garden, warm light", "person  in a garden warm light"])
    assert both[0].tolist() == both[1].tolist()


def test_the_longest_caption_fits() -> None:
    tokenizer = make_tokenizer()
    full = ", ".join([MEMBER, LOOKS[0], *(group[0] for group in ONE_OF)])
    assert len(tokenizer(full).input_ids) <= TOKENS
