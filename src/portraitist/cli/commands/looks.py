"""`looks`: the photoshoot's collections, and whether an operator's folder of them can be used. Asks no server."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options

if TYPE_CHECKING:
    from portraitist.cli.output import Output


def looks(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="A folder of collections, as LOOKS_DIR names it."),
    ] = None,
    json_lines: options.Json = False,
) -> None:
    """List the collections of the photoshoot, and tell everything that is wrong with a folder of your own."""
    from portraitist.cli import rim
    from portraitist.cli.errors import BadUsage, CliError
    from portraitist.studio.photoshoot import reading

    def work(output: "Output") -> None:
        if folder is not None and not folder.is_dir():
            raise BadUsage(f"There is no folder {folder}.", next_step="Check the path.", code="no_folder")
        try:
            book = reading.read(folder)
        except reading.LooksInvalid as exc:
            for problem in exc.problems:
                output.say(str(problem), whole=True)
                output.emit("problem", **vars(problem))
            raise CliError(
                f"{len(exc.problems)} things are wrong with the looks.",
                next_step="Mend them; docs/photoshoot.md says what each field means.",
                code="looks_invalid",
            ) from exc
        for each in book.collections:
            output.say(f"{each.slug}: {each.title}, {len(each.looks)} looks")
            output.emit(
                "collection", slug=each.slug, title=each.title, looks=[look.slug for look in each.looks]
            )

    rim.perform_plain(json_lines, work)
