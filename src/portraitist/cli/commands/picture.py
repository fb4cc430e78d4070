"""`picture verify`: whether this instance made a picture file, and whether it is as it was. Asks no server."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portraitist.cli import options

if TYPE_CHECKING:
    from portraitist.cli.output import Output

CODES = {"ours": 0, "altered": 4, "foreign": 5, "none": 6, "broken": 7, "unreadable": 8}
VERIFY_CODES = (
    "Exit codes: 0 made here and as it was · 4 made here, altered since · 5 signed by somebody else · 6 no manifest, "
    "nothing can be said · 7 a damaged manifest · 8 no picture that can be read · 1 the work failed · 2 bad usage."
)
app = typer.Typer(
    name="picture", help="Where a picture comes from.", no_args_is_help=True, epilog=VERIFY_CODES
)


@app.callback()
def picture() -> None:
    """Where a picture comes from."""


@app.command(epilog=VERIFY_CODES)
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A PNG, JPEG or WebP file.")],
    json_lines: options.Json = False,
) -> None:
    """Tell whether this instance made a picture and whether it was altered; run it where the studio's home is."""
    from portraitist.cli import rim
    from portraitist.cli.errors import BadUsage
    from portraitist.kit.homes import Home
    from portraitist.studio.provenance import credentials, verifying

    def work(output: "Output") -> None:
        if not file.is_file():
            raise BadUsage(f"There is no file {file}.", next_step="Check the path.", code="no_file")
        with file.open("rb") as stream:
            data = stream.read(verifying.MAX_BYTES + 1)
        verdict = verifying.verify(data, credentials.known(Home().path))
        output.say(verdict.words)
        if verdict.signer and verdict.kind is verifying.Kind.FOREIGN:
            output.say(f"The signature calls itself: {verdict.signer}.")
        output.emit(
            "picture", file=str(file), kind=verdict.kind.value, signer=verdict.signer, meaning=verdict.words
        )
        if code := CODES[verdict.kind]:
            raise SystemExit(code)

    rim.perform_plain(json_lines, work)
