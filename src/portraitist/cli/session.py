"""The way into the studio for one member: who they are, their consent, and the API opened with their token."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from portraitist.cli.api import StudioApi
from portraitist.cli.errors import BadUsage
from portraitist.cli.memory import MemberMemory
from portraitist.cli.output import Output
from portraitist.cli.wire import Member

DEFAULT_SUBJECT = "person"


@dataclass(frozen=True)
class Answers:
    """What the command line said about the member; what it left open is asked or taken as before."""

    subject: str | None
    consent: bool


def can_ask() -> bool:
    """Whether somebody sits there who can answer."""
    return sys.stdin.isatty()


def check_can_consent(answers: Answers, memory: MemberMemory) -> None:
    """Refuse before anything is started where consent is missing and nobody can be asked."""
    if not answers.consent and memory.member() is None and not can_ask():
        raise _no_consent()


async def enter(operator: StudioApi, memory: MemberMemory, answers: Answers, output: Output) -> StudioApi:
    """The studio as this member sees it; made when new, consent asked once."""
    if operator.signed_in:
        member = await _signed_in(operator, memory, answers)
    else:
        member = await _member(operator, memory, answers, output)
    api = operator.as_member(member)
    output.emit("member", id=member.id, handle=member.handle, subject_word=member.subject_word)
    if not await api.consent_given():
        await _ask_consent(api, answers, output)
    return api


async def known(operator: StudioApi, memory: MemberMemory) -> StudioApi:
    """The studio as an existing member sees it; raises BadUsage for one who never was here."""
    if operator.signed_in:
        return operator.as_member(await _signed_in(operator, memory, Answers(None, consent=False)))
    member = memory.member()
    if member is None:
        raise BadUsage(
            "There is no such member here yet.",
            next_step="Train a model first: portraitist train FOLDER (the same --member, if you use it).",
            code="no_member",
        )
    api = operator.as_member(member)
    if not await api.knows_me():
        member = await operator.local_member(memory.handle, member.subject_word)
        memory.keep_member(member)
    return operator.as_member(member)


async def _signed_in(api: StudioApi, memory: MemberMemory, answers: Answers) -> Member:
    """The member of `portraitist login`, whatever folder the photos come from; raises BadUsage beside --member."""
    if memory.handle.startswith("name:"):
        raise BadUsage(
            "You are signed in, and --member names a member of this machine.",
            next_step="Leave --member out, or sign out first: portraitist logout",
        )
    if answers.subject is not None:
        await api.set_subject_word(answers.subject)
    return await api.me()


async def _member(operator: StudioApi, memory: MemberMemory, answers: Answers, output: Output) -> Member:
    before = memory.member()
    changed = before is not None and answers.subject not in (None, before.subject_word)
    if before is not None and not changed and await operator.as_member(before).knows_me():
        return before
    subject = answers.subject or (before.subject_word if before else None)
    if subject is None:
        subject = DEFAULT_SUBJECT
        output.say(f'Prompts will say "{subject}"; --subject woman (or man, or your own word) changes that.')
    member = await operator.local_member(memory.handle, subject)
    memory.keep_member(member)
    return member


async def _ask_consent(api: StudioApi, answers: Answers, output: Output) -> None:
    version, text = await api.consent_wording()
    if not answers.consent:
        if not can_ask():
            raise _no_consent()
        output.say(text)
        with _interruptible():
            agreed = typer.confirm("Do you agree?", err=output.json_lines)
        if not agreed:
            raise BadUsage(
                "Without this consent no photo is processed. Nothing was uploaded.", code="no_consent"
            )
    await api.give_consent(version)
    output.say("Your consent is stored; the studio shows it under consents.")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a question at once: the event loop's own handler waits for the loop, which waits for us."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _no_consent() -> BadUsage:
    return BadUsage(
        "Training needs consent to process face photos, and there is nobody here to ask.",
        next_step="If the person in the photos agrees, run it again with --consent (or CONSENT=1).",
        code="consent_needed",
    )
