"""Which language somebody gets: the one they have chosen, else the first that their browser likes. Pure."""

from collections.abc import Collection

from portraitist.studio.locale.catalogs import SOURCE

MOST_WISHES = 20


def chosen(wish: str | None, accept: str | None, known: Collection[str]) -> str:
    """A code of `known`. `wish`: what the member has chosen; `accept`: the header Accept-Language (RFC 9110)."""
    if wish in known:
        return str(wish)
    for tag in _by_liking(accept or ""):
        if tag == "*":
            break
        if (primary := tag.split("-")[0]) in known:
            return primary
    return SOURCE


def _by_liking(accept: str) -> list[str]:
    wishes = []
    for part in accept.split(",")[:MOST_WISHES]:
        tag, _, weight = part.strip().lower().partition(";")
        if tag and (liking := _weight(weight)) > 0:
            wishes.append((liking, tag.strip()))
    return [tag for _, tag in sorted(wishes, key=lambda wish: -wish[0])]


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0 if not text else 0.0
    try:
        return min(1.0, float(value))
    except ValueError:
        return 0.0
