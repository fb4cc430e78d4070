"""The look book: answers by rule, of the member's words and the studio's looks, where no language model is configured.

Pure. What fits is `matching`'s, what the words name is `weaving`'s, how it is said `voice`'s; every card is composed by
`prompting.craft` and passes its rules and the studio's refusals, or is not offered.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Final

from portraitist.studio.maya import denying, matching, refining, voice, weaving
from portraitist.studio.maya.domain import FEWEST_CARDS, LONGEST_NOTE, Concept, Role
from portraitist.studio.maya.matching import Shelf
from portraitist.studio.maya.mind import Answer, Asked, Piece
from portraitist.studio.maya.refining import is_monochrome
from portraitist.studio.maya.weaving import Named
from portraitist.studio.photoshoot.looks import Look, LookBook
from portraitist.studio.prompting.craft import SUBJECT, ShotType, composed, lint_card
from portraitist.studio.prompting.refusing import Refusals

CARDS: Final = 4
REMEMBERED: Final = 2_000
_HELLO: Final = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|evening|afternoon)|help|start)\b.{0,24}$", re.IGNORECASE
)
_THANKS: Final = re.compile(
    r"^\W*(?:thanks?|thank you|thx|great|lovely|perfect|ok(?:ay)?|nice|wow)\b.{0,30}$", re.IGNORECASE
)
_KEEP: Final = re.compile(
    r"\b(?:I (?:never|always|really |do ?n[o']t |absolutely )*"
    r"(?:wear|love|like|hate|prefer|avoid)|(?:please )?remember (?:that )?)\b[^.!?\n]{3,120}",
    re.IGNORECASE,
)
_CHANGE: Final = re.compile(r"\b(?:same|instead|less|more|again|also|but|too|as well)\b", re.IGNORECASE)
_AGAINST: Final = re.compile(r"\b(?:never|don'?t|do not|hate|avoid|no)\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Page:
    """What an answer is made of so far."""

    opening: str
    concepts: Sequence[Concept]
    about: Sequence[str] = ()
    remarks: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Book:
    """Answers by rule, over these looks."""

    looks: LookBook
    refusals: Refusals = field(default_factory=Refusals)
    _shelf: Shelf = field(init=False)
    _judged: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_shelf", Shelf.of(self.looks.looks))

    async def answer(self, asked: Asked) -> AsyncIterator[Piece]:
        """The reply in sentences, then the whole answer."""
        page = self._page(asked)
        seed = f"{len(asked.said)} {asked.words}"
        ending = asked.step or (voice.said("shoot", seed) if page.concepts else "")
        title = page.concepts[0].title if page.concepts else ""
        first = voice.said("first", seed, title=title) if title and asked.refining is None else ""
        sentences = [each for each in (page.opening, *page.remarks, first, ending) if each]
        for place, sentence in enumerate(sentences):
            yield sentence if place == 0 else f" {sentence}"
        yield Answer(
            " ".join(sentences),
            tuple(page.concepts),
            voice.suggestions(page.about, seed, has_colours=bool(asked.style.colours)),
            remember=tuple(each[0].strip()[:LONGEST_NOTE] for each in _KEEP.finditer(asked.words)),
        )

    def _page(self, asked: Asked) -> _Page:
        seed = f"{len(asked.said)} {asked.words}"
        if asked.refining is not None:
            return self._refined(asked, asked.refining, seed)
        if _THANKS.match(asked.words):
            return _Page(voice.said("thanks", seed), ())
        if _HELLO.match(asked.words):
            return _Page(voice.said("greeting", seed), self._fitting(asked, Named(), asked.words))
        asked, denied = _without_denied(asked)
        named = weaving.named(asked.words)
        concepts = self._fitting(asked, named, _in_context(asked))
        remarks = [] if not _own(asked, named) else [voice.said("own_colours", seed)]
        if denied or (asked.style.no_go and not asked.said):
            remarks.append(voice.said("no_go", seed, no_go=_and(asked.style.no_go[:2])))
        about = matching.topics(asked.words)
        return _Page(voice.opening(asked.words, named, seed), concepts, about, remarks)

    def _fitting(self, asked: Asked, named: Named, words: str) -> list[Concept]:
        """Cards for an idea: the member's own first where it names place or clothes, then looks of several kinds."""
        liked = " ".join(
            [*asked.style.settings, *(note for note in asked.notes if not _AGAINST.search(note))]
        )
        ranked = self._shelf.ranked(words, liked, " ".join(asked.style.no_go), turned=len(asked.said))
        rank = [look for look in ranked if look.monochrome is named.monochrome]
        own = self._own(asked, named, rank) if named.is_own else iter(())
        woven = (self._woven(asked, named, look, place) for place, look in enumerate(_several(rank)))
        return list(islice(_distinct(filter(None, chain(islice(own, 2), woven))), CARDS))

    def _own(self, asked: Asked, named: Named, rank: Sequence[Look]) -> Iterator[Concept]:
        """The idea as it was said, in two shots; what it leaves open comes from the looks that fit best."""
        shots = [named.shot or ShotType.HALF_BODY, ShotType.FULL_SCENE]
        for look, shot, title in zip(
            rank, dict.fromkeys(shots), ("As you said it", "The same, from further away"), strict=False
        ):
            parts = named.into(look.parts(shot, _colours(asked, named)), shot)
            description = _described(named, look)
            yield from self._checked(
                asked, Concept(title, description, shot, "Your idea", "", None, parts), named.monochrome
            )

    def _woven(self, asked: Asked, named: Named, look: Look, place: int) -> Concept | None:
        """A look with the light and colours that were asked for; as it is, where that does not go together."""
        shot = named.shot or look.lead
        colours = _colours(asked, named) if place % 2 == 0 or named.colours else ()
        plain = look.parts(shot, colours)
        for parts in (replace(plain, light=named.light or plain.light), plain):
            concept = Concept(look.title, look.description, shot, look.category, "", look.slug, parts)
            for checked in self._checked(asked, concept, look.monochrome):
                return checked
        return None

    def _refined(self, asked: Asked, card: Concept, seed: str) -> _Page:
        """The card again with one thing changed, in a few ways."""
        wanted = weaving.wish(asked.words)
        look = self.looks.look(card.look or "") or self._nearest(card)
        parts = card.parts or look.parts(card.shot)
        if wanted is None:
            asked, _ = _without_denied(asked)
            named = weaving.named(asked.words)
            concepts = self._fitting(asked, named, f"{asked.words} {asked.words} {card.title}")
            return _Page(voice.opening(asked.words, named, seed), concepts, ("refining",))
        others = list(_several(self._others(card, look, asked)))[:CARDS]
        changed = [
            concept
            for each in refining.changed(wanted, card, parts, look, others)
            for concept in self._checked(asked, each, is_monochrome(each))
        ]
        spare = self._fitting(
            asked, Named(monochrome=is_monochrome(card)), f"{card.title} {card.description}"
        )
        spare = [each for each in spare if each.look is None or each.look != card.look]
        concepts = list(islice(_distinct((*changed, *spare)), max(FEWEST_CARDS, min(CARDS, len(changed)))))
        kind = {"same_evening": "evening", "place": "place_changed", "colour": "colour_back"}.get(
            wanted, wanted
        )
        return _Page(voice.said(kind, seed, title=card.title), concepts, ("refining",))

    def _others(self, card: Concept, look: Look, asked: Asked) -> list[Look]:
        """Looks from elsewhere, those that fit what was said and liked first."""
        ranked = self._shelf.ranked(asked.words, " ".join(asked.style.settings), turned=len(asked.said))
        mono = is_monochrome(card)
        return [each for each in ranked if each.slug != look.slug and each.monochrome is mono]

    def _nearest(self, card: Concept) -> Look:
        return self._shelf.ranked(f"{card.title} {card.description} {card.category}")[0]

    def _checked(self, asked: Asked, concept: Concept, monochrome: bool) -> Iterator[Concept]:
        """The card with its prompt, if it keeps every rule and nothing in it is a no-go."""
        assert concept.parts is not None
        prompt = composed(concept.parts, subject=None, shot=concept.shot)
        lines = f"{concept.title} {concept.description} {prompt.replace(SUBJECT, '')}"
        findings = lint_card(
            prompt, trigger=None, subject=None, shot=concept.shot, said=asked.words, monochrome=monochrome
        )
        if not findings and not self._refuses(lines) and not _is_no_go(lines, asked):
            yield replace(concept, prompt=prompt)

    def _refuses(self, lines: str) -> bool:
        """Whether the studio makes no such picture; most cards come up again and again."""
        if lines not in self._judged:
            if len(self._judged) >= REMEMBERED:
                self._judged.clear()
            self._judged[lines] = self.refusals.refuses(lines)
        return self._judged[lines]


def _without_denied(asked: Asked) -> tuple[Asked, bool]:
    """The question by what is wanted; what is denied is a no-go of this answer. And whether something is."""
    wanted, denied = denying.apart(asked.words)
    style = replace(asked.style, no_go=(*denied, *asked.style.no_go))
    return (replace(asked, words=wanted, style=style), True) if denied else (asked, False)


def _in_context(asked: Asked) -> str:
    """The words, with those before them where they only say what should be different."""
    before = [line.text for line in asked.said if line.by is Role.MEMBER]
    if before and _CHANGE.search(asked.words):
        return f"{asked.words} {asked.words} {denying.apart(before[-1])[0]}"
    return asked.words


def _several(rank: Sequence[Look]) -> Iterator[Look]:
    """The looks in order, but not two of a collection in a row while others are left: two of each, then the rest."""
    taken: dict[str, int] = {}
    late = []
    for look in rank:
        taken[look.collection] = taken.get(look.collection, 0) + 1
        if taken[look.collection] <= 2:
            yield look
        else:
            late.append(look)
    yield from late


def _distinct(concepts: Iterator[Concept] | Sequence[Concept]) -> Iterator[Concept]:
    seen: set[str] = set()
    for concept in concepts:
        if concept.prompt not in seen and concept.title not in seen:
            seen |= {concept.prompt, concept.title}
            yield concept


def _colours(asked: Asked, named: Named) -> tuple[str, ...]:
    """Colours for the outfit: those just named, else the member's own of the palette."""
    return named.colours[:2] or weaving.colours_in(", ".join(asked.style.colours))[:2]


def _own(asked: Asked, named: Named) -> bool:
    return not named.colours and bool(_colours(asked, named))


def _described(named: Named, look: Look) -> str:
    what = " ".join(filter(None, (named.garment, named.place)))
    return f"{what[:1].upper()}{what[1:]}, with the light of “{look.title}”."


def _is_no_go(text: str, asked: Asked) -> bool:
    """Whether something is in it that the member never wants, by their answers or by what is remembered."""
    there = set(matching.words_of(text))
    refused = [*asked.style.no_go, *(note for note in asked.notes if _AGAINST.search(note))]
    unsaid = {
        matching.stem(word)
        for word in ("never", "wear", "hate", "avoid", "do", "not", "don", "like", "really")
    }
    return any((wanted := set(matching.words_of(each)) - unsaid) and wanted <= there for each in refused)


def _and(items: Sequence[str]) -> str:
    return " and ".join(items)
