"""`up`, `web`, `worker`, `engine`, `migrate`: what an operator types."""

# ruff: noqa: PLC0415 - imported when the command runs, so that --help answers at once

from pathlib import Path
from typing import Annotated

import typer

from portraitist.cli import options
from portraitist.cli.errors import EXIT_CODES

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 picks one.")]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        help="Of transformer and words. Default: 6,000, with the rest about an hour and a half of one core.",
    ),
]

engine_app = typer.Typer(name="engine", invoke_without_command=True, epilog=EXIT_CODES)


def up(
    port: Port = options.DEFAULT_PORT,
    json_lines: options.Json = False,
) -> None:
    """Start the whole studio on this machine, and keep its parts running until Ctrl-C."""
    from portraitist.cli import rim, running

    rim.perform(json_lines, lambda output: running.up(port, output))


def web(json_lines: options.Json = False) -> None:
    """Serve the API and the pages; configured by the environment (docs/operating.md)."""
    from portraitist.cli import rim, running

    rim.perform_plain(json_lines, running.web)


def worker(json_lines: options.Json = False) -> None:
    """Move trainings and generations on; any number of these may run against one database."""
    from portraitist.cli import rim, running

    rim.perform_plain(json_lines, running.worker)


@engine_app.callback()
def engine(context: typer.Context, json_lines: options.Json = False) -> None:
    """Serve the engine: Replicate's HTTP API, trained and sampled on this machine (ENGINE_… settings)."""
    from portraitist.cli import rim, running

    if context.invoked_subcommand is None:
        rim.perform_plain(json_lines, running.engine)


@engine_app.command("init", epilog=EXIT_CODES)
def engine_init(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Where the checkpoint goes (diffusers format).")],
    steps: Steps = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Train on: the work or checkpoint in DIR, else the shipped base.")
    ] = False,
    json_lines: options.Json = False,
) -> None:
    """Make the embedded engine's base checkpoint anew from its recipe: drawn portraits, no photo of anybody."""
    from portraitist.cli import rim, running

    rim.perform_plain(json_lines, lambda output: running.engine_init(out, steps, resume, output))


def migrate(json_lines: options.Json = False) -> None:
    """Make the database's roles and tables, or bring them up to date; needs DATABASE_OWNER_URL, or none at all."""
    from portraitist.cli import rim, running

    rim.perform(json_lines, running.migrate)
