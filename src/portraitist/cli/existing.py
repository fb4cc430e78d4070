"""Run a small piece of work as a member who is here already; the same way for every such command."""

from collections.abc import Awaitable, Callable

from portraitist.cli import rim, session, shooting
from portraitist.cli.api import StudioApi
from portraitist.cli.memory import MemberMemory, chosen_handle
from portraitist.cli.output import Output
from portraitist.kit.homes import Home


def as_member(
    folder: str | None,
    member: str | None,
    json_lines: bool,
    work: Callable[[StudioApi, Output], Awaitable[None]],
) -> None:
    """Open the studio for the member that the folder or the name stands for, and work in it."""

    async def whole(output: Output) -> None:
        home = Home()
        memory = MemberMemory(home.path / "members", chosen_handle(folder, member))

        async def job(operator: StudioApi) -> None:
            await work(await session.known(operator, memory), output)

        await shooting.in_studio(home, output, job)

    rim.perform(json_lines, whole)
