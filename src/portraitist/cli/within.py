"""Work inside a studio: the running one, or one started for the time of the work.

Every command that uses the API goes through here; what it does there is its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from portraitist.cli import account, disk, parts, rim, session
from portraitist.cli.api import StudioApi, connect
from portraitist.cli.errors import StudioLost
from portraitist.cli.memory import MemberMemory, chosen_handle
from portraitist.cli.output import Output
from portraitist.kit.homes import Home

TRIES = 3


async def in_studio(home: Home, output: Output, work: Callable[[StudioApi], Awaitable[None]]) -> None:
    """Do the work in the running studio, or in one of our own; once more where another's studio was stopped.

    After `portraitist login` the studio is the one that was signed in at, and the work is that member's.
    """
    if (login := account.kept_or_none(home)) is not None:
        output.say(f"Signed in at {login.url} as {login.email}.")
        async with connect(login.url, login.token, lambda: True, signed_in=True) as member:
            await work(member)
        return
    for tries_left in reversed(range(TRIES)):
        async with AsyncExitStack() as stack:
            with output.bar() as bar:
                bar.update("Starting the studio", None)
                studio = await stack.enter_async_context(parts.studio(home, output.say))
            operator = await stack.enter_async_context(connect(studio.url, studio.token, studio.gone))
            try:
                await disk.guarded(work(operator), disk.folders(home.path))
                return
            except StudioLost:
                if studio.own or not tries_left:
                    raise
        output.say("The studio that was used has stopped; going on with one of our own.")
        await asyncio.sleep(1.0)


def as_member(
    folder: str | None,
    member: str | None,
    json_lines: bool,
    work: Callable[[StudioApi, Output], Awaitable[None]],
) -> None:
    """Run a whole command as the member that the folder or the name stands for, who must be here already."""

    async def whole(output: Output) -> None:
        home = Home()
        memory = MemberMemory(home.path / "members", chosen_handle(folder, member))

        async def job(operator: StudioApi) -> None:
            await work(await session.known(operator, memory), output)

        await in_studio(home, output, job)

    rim.perform(json_lines, whole)
