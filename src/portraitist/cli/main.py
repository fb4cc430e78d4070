"""The command tree. Each command's module is small; what it needs is imported when it runs, so help is quick."""

import typer

from portraitist.cli.commands import (
    account,
    audit,
    doctor,
    events,
    login,
    looks,
    members,
    models,
    picture,
    serve,
    tokens,
    trainings,
    use,
)
from portraitist.cli.errors import EXIT_CODES

app = typer.Typer(
    name="portraitist",
    help="An AI photo studio that anyone can host: photos in, a model of your own, pictures out.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

USE, RUN, LOOK_AFTER = "Use it", "Run it", "Look after it"
app.command(rich_help_panel=USE, epilog=EXIT_CODES)(use.shoot)
app.command(rich_help_panel=USE, epilog=EXIT_CODES)(use.train)
app.command(rich_help_panel=USE, epilog=EXIT_CODES)(use.generate)
app.command(rich_help_panel=USE, epilog=EXIT_CODES)(login.join)
app.command(rich_help_panel=USE, epilog=EXIT_CODES)(login.login)
app.command(rich_help_panel=USE, epilog=EXIT_CODES)(login.logout)
app.command(rich_help_panel=USE, epilog=EXIT_CODES)(login.password)
app.command(rich_help_panel=USE, epilog=EXIT_CODES)(login.reset)
app.add_typer(account.app, rich_help_panel=USE)
app.add_typer(tokens.app, rich_help_panel=USE)
app.command(rich_help_panel=RUN, epilog=EXIT_CODES)(serve.up)
app.command(rich_help_panel=RUN, epilog=EXIT_CODES)(serve.web)
app.command(rich_help_panel=RUN, epilog=EXIT_CODES)(serve.worker)
app.add_typer(serve.engine_app, rich_help_panel=RUN)
app.command(rich_help_panel=RUN, epilog=EXIT_CODES)(serve.migrate)
app.command(rich_help_panel=LOOK_AFTER, epilog=EXIT_CODES)(doctor.doctor)
app.add_typer(members.app, rich_help_panel=LOOK_AFTER)
app.add_typer(events.app, rich_help_panel=LOOK_AFTER)
app.add_typer(trainings.app, rich_help_panel=LOOK_AFTER)
app.add_typer(models.app, rich_help_panel=LOOK_AFTER)
app.command(rich_help_panel=LOOK_AFTER, epilog=EXIT_CODES)(looks.looks)
app.add_typer(picture.app, rich_help_panel=LOOK_AFTER)
app.command(rich_help_panel=LOOK_AFTER, context_settings=audit.PASS_ON, add_help_option=False)(audit.audit)


def run() -> None:
    """The entry point of the installed `portraitist` script."""
    app()
