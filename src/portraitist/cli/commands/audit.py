"""`audit`: the read-only auditor of a code base, a part of its own; its options and exit codes are its own too."""

import typer

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def audit(context: typer.Context) -> None:
    """Read a code base that trains and generates through a provider, and report its flows and risks."""
    from portraitist.audit.cli import app  # noqa: PLC0415 - the auditor's parsers are heavy

    app(args=context.args, prog_name="portraitist audit")
