"""What a language model is told and what it may answer: instructions, a question, the check of an answer. Pure.

All that leaves for a model is made here, of `mind.Asked` alone. How it is sent is `model`'s.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain
from typing import Annotated, Final

from pydantic import BaseModel, Field, StringConstraints

from portraitist.studio.maya import voice
from portraitist.studio.maya.domain import (
    FEWEST_CARDS,
    FEWEST_SUGGESTIONS,
    LONGEST_NOTE,
    MOST_CARDS,
    MOST_SUGGESTIONS,
    Concept,
)
from portraitist.studio.maya.matching import stem, words_of
from portraitist.studio.maya.mind import Answer, Asked, without_private
from portraitist.studio.prompting.craft import SUBJECT, ShotType, lint_card
from portraitist.studio.prompting.refusing import Refusals
from portraitist.studio.prompting.repair import repair

LONGEST_HISTORY: Final = 12_000
"""Characters of earlier messages that go along; the oldest are left out."""
_BACKSTAGE: Final = re.compile(
    r"\b\d{2,3} ?mm\b|\bf ?/ ?\d|\{subject\}|\btrigger ?words?\b|\blora\b|\bsystem prompt\b|\bsubject\} ",
    re.IGNORECASE,
)
"""What no member-facing sentence has."""
RUN: Final = 8
"""Words in a row that are no chance any more."""

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class SpokenCard(BaseModel):
    """A concept card as a language model writes it."""

    title: Annotated[Line, Field(max_length=80)]
    description: Annotated[Line, Field(max_length=400)]
    shot: ShotType
    category: Annotated[Line, Field(max_length=60)]
    prompt: Annotated[Line, Field(max_length=1_600)]


class Spoken(BaseModel):
    """A whole answer as a language model writes it, the reply first, so that it can be read while it comes."""

    reply: Annotated[Line, Field(max_length=1_500)]
    cards: list[SpokenCard] = Field(max_length=MOST_CARDS)
    suggestions: list[Annotated[Line, Field(max_length=80)]] = Field(
        min_length=FEWEST_SUGGESTIONS, max_length=MOST_SUGGESTIONS
    )
    remember: list[Annotated[Line, Field(max_length=LONGEST_NOTE)]] = Field(
        default_factory=list, max_length=2
    )


class Unfit(ValueError):
    """An answer that breaks the rules; its text says what to mend, for whoever wrote it."""


@cache
def instructions() -> str:
    """Who Maya is and what she must not do; the same for every member."""
    return files(__package__).joinpath("instructions.txt").read_text("utf-8")


def about_the_member(asked: Asked) -> str:
    """What may be known of the member, as lines; nothing that says who it is."""
    style = asked.style
    told = {
        "Subject": asked.subject,
        "Colours they like": ", ".join(style.colours),
        "Places they like": ", ".join(style.settings),
        "Limits": style.limits,
        "No-go, never in a picture": ", ".join(style.no_go),
        "Remembered": "; ".join(asked.notes),
        "Not ready yet": f"there is no model to shoot with; end with this next step instead: {asked.step}"
        if asked.step
        else "",
    }
    return "\n".join(f"{name}: {without_private(value)}" for name, value in told.items() if value)


def question(asked: Asked) -> str:
    """The member's words, with the card that they are about."""
    words = without_private(asked.words)
    card = asked.refining
    if card is None:
        return words
    return (
        f"About this card: {card.title} ({card.shot.value}, {card.category}): {card.description}\n"
        f"Its hidden prompt: {card.prompt}\n"
        f"Change what is asked for and keep the rest, in three to six variations.\n\n{words}"
    )


def history(asked: Asked) -> list[tuple[bool, str]]:
    """What was said before, as (by Maya?, text), oldest first, as much as fits."""
    kept: list[tuple[bool, str]] = []
    room = LONGEST_HISTORY
    for line in reversed(asked.said):
        room -= len(line.text)
        if room < 0:
            break
        kept.append((line.by == "maya", without_private(line.text)))
    return kept[::-1]


@dataclass(frozen=True)
class Examiner:
    """Sees whether an answer may be given, for one question."""

    asked: Asked
    refusals: Refusals = field(default_factory=Refusals)

    def answer(self, spoken: Spoken) -> Answer:
        """The answer with the cards that keep the rules. Raises Unfit where they are too few, or words say too much."""
        concepts = [self._concept(card) for card in spoken.cards]
        reply = [*backstage(spoken.reply, self._secrets([each.prompt for each in concepts]))]
        wrong = [[*self._problems(card, concepts)] for card in concepts]
        fit = [card for card, problems in zip(concepts, wrong, strict=True) if not problems]
        if reply or (concepts and len(fit) < FEWEST_CARDS):
            found = dict.fromkeys(chain(reply, *wrong))
            raise Unfit("Mend this and answer again in full: " + " ".join(found))
        return Answer(
            spoken.reply,
            tuple({card.title: card for card in fit}.values()),
            self._suggestions(spoken),
            tuple(without_private(note) for note in spoken.remember if not self.refusals.refuses(note)),
        )

    def may_say(self, begun: str) -> bool:
        """Whether a reply that has begun like this may be read on."""
        return not [*backstage(begun, self._secrets([]))]

    def _suggestions(self, spoken: Spoken) -> tuple[str, ...]:
        """Those that may be shown, filled up with ours: an answer is not given up for one of them."""
        fit = dict.fromkeys(each for each in spoken.suggestions if not [*backstage(each, ())])
        ours = voice.suggestions((), self.asked.words)
        return tuple(dict.fromkeys((*fit, *ours)))[: max(len(fit), FEWEST_SUGGESTIONS)]

    def _concept(self, card: SpokenCard) -> Concept:
        subject = card.prompt if card.prompt.startswith(SUBJECT) else _led(card.prompt, self.asked.subject)
        prompt = repair(subject, trigger=None, subject=None, shot=card.shot)
        return Concept(card.title, card.description, card.shot, card.category, prompt)

    def _problems(self, card: Concept, cards: Sequence[Concept]) -> Iterator[str]:
        """What is wrong with a card, in words for its writer."""
        where = f"Card “{card.title}”:"
        said = " ".join([self.asked.words, *(line.text for line in self.asked.said if line.by == "member")])
        mono = "black and white" in said.lower() or "monochrome" in said.lower()
        for finding in lint_card(
            card.prompt, trigger=None, subject=None, shot=card.shot, said=said, monochrome=mono
        ):
            yield f"{where} {finding.message}"
        shown = f"{card.title}. {card.description}"
        if self.refusals.refuses(shown) or self.refusals.refuses(card.prompt.replace(SUBJECT, "")):
            yield f"{where} the studio makes no such picture."
        if no_go := _no_go(f"{shown} {card.prompt}", self.asked):
            yield f"{where} the member never wants {no_go}."
        if [*backstage(shown, [each.prompt for each in cards])]:
            yield f"{where} title and description speak to the member and quote no prompt."
        if sum(each.title == card.title for each in cards) > 1:
            yield f"{where} another card has the same title."

    def _secrets(self, prompts: Sequence[str]) -> list[str]:
        refined = [self.asked.refining.prompt] if self.asked.refining else []
        return [instructions(), *refined, *prompts]


def backstage(text: str, secrets: Sequence[str]) -> Iterator[str]:
    """What of a text is none of the member's to read: technical words, or a run of words of a secret."""
    if found := _BACKSTAGE.search(text):
        yield f"The member is shown “{found[0]}”, which is backstage talk."
    said = _runs(text)
    if said and any(said & _runs(secret) for secret in secrets):
        yield "The member is shown a piece of hidden text."


@lru_cache(maxsize=256)
def _runs(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return frozenset(tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1))


def _led(prompt: str, subject: str) -> str:
    """A prompt that begins with the subject word itself, or an article and it, with SUBJECT in its place."""
    return re.sub(rf"^(?:an? |the )?{re.escape(subject)}\b", SUBJECT, prompt, count=1, flags=re.IGNORECASE)


def _no_go(text: str, asked: Asked) -> str:
    there = {stem(word) for word in words_of(text)} | set(words_of(text))
    return next(
        (each for each in asked.style.no_go if (wanted := set(words_of(each))) and wanted <= there), ""
    )
