"""docs/api.md, made of the API's own description: how it is spoken to, every operation, every error code.

`python -m portraitist.cli.api_page > docs/api.md` writes it; a test compares the two.
"""

from portraitist.studio import app, openapi
from portraitist.studio.codes import CODES
from portraitist.studio.config import StudioSettings

HEAD = """\
# The API

`/api/v1`, JSON in and out. Made of the API's own description by
`python -m portraitist.cli.api_page > docs/api.md`; a test compares the two. The whole of it with schemas and examples
is at `/openapi.json`, to read and to try at `/docs`.

**Who asks.** `Authorization: Bearer …` with an API token (`POST /api/v1/tokens`), or a session's cookie with
`X-CSRF-Token` on changes. The member is never named in a request: it is who asks. What another member has answers as
what does not exist.

**Errors** are problems (RFC 9457, `application/problem+json`): `code` is stable and in the table below, `detail` says
what happened, `next_step` what to do, `request_id` is in the log. Texts may change.

**Pages.** Lists take `limit` and `cursor` and answer with `next`: hand it back as `cursor` for the next page, until
it is null. A cursor stands behind an item, so what comes or goes meanwhile neither repeats nor hides others.

**Once only.** What costs or creates takes an `Idempotency-Key` header of 8 to 200 characters: the same key gives the
same thing instead of a second one. Other changes may be sent twice by their nature.

**How much.** Requests of a member in a minute, paid work in a day: `429` with `Retry-After` says when there is room
again, and it holds for the whole fleet. Reads are counted ten at a time.

**Live.** `GET /api/v1/events` is a stream of server-sent events: first what is in hand, then each item as soon as it
has moved. Come back with `Last-Event-ID` and you are told what ended meanwhile, for up to a day. Items are states, not
steps: one may come twice, and one that moved on quickly comes once. The stream ends after ten minutes; come back.

**Pictures.** Until it is saved, a picture is a preview of its generation; both stay until they are deleted. A deleted
one can be had back for seven days (`undo_until`), then file and row are removed for good. Search finds pictures by
words of their prompts, or by how these begin, in any language. A zip is made while it is sent; a broken
one means that the storage failed.
"""


def page() -> str:
    """The whole page."""
    # routes only: nothing is opened, so no address or secret is needed
    settings = StudioSettings.model_construct(public_url="", replicate_base_url="")
    document = app.create(settings).openapi()
    lines = [HEAD, "## Operations", "", "| operation | what it does | codes of its own |", "|---|---|---|"]
    for name, operation in openapi.operations(document):
        method, path = name.split(" ")
        said = operation["description"].split("\n")[0]
        codes = ", ".join(f"`{code}`" for code in own_codes(operation))
        lines.append(f"| {method.upper()} `{path}` | {said} | {codes} |")
    lines += ["", "## Codes", "", "| code | status | meaning | next step |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {code.status} | {code.means} | {code.next_step} |" for name, code in CODES.items()
    ]
    return "\n".join(lines) + "\n"


def own_codes(operation: openapi.Operation) -> list[str]:
    """Codes that not every operation may answer with."""
    common = {*openapi.ANY_REQUEST, *openapi.ANY_MEMBERS, *openapi.ANY_ADMINS}
    return [code for code in openapi.codes_of(operation) if code not in common]


if __name__ == "__main__":
    print(page(), end="")
