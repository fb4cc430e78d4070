"""Command-line options that several commands share, each with its one help text."""

from typing import Annotated

import typer

DEFAULT_PORT = 8700  # of `up`

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object per line on stdout; sentences on stderr.")
]
Member = Annotated[
    str | None,
    typer.Option("--member", metavar="NAME", help="Whose model: a name. Default: the folder's own member."),
]
Subject = Annotated[
    str | None,
    typer.Option("--subject", metavar="WORD", help="Word for the person in prompts: woman, man, person, …"),
]
Consent = Annotated[
    bool,
    typer.Option(
        "--consent",
        envvar="CONSENT",
        help="Say yes to the processing of the face photos, where nobody can be asked (CONSENT=1).",
    ),
]
PhotosOption = Annotated[
    str | None,
    typer.Option("--photos", metavar="FOLDER", help="Whose model: the member of this folder of photos."),
]
