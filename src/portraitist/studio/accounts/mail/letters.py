"""What stands in each letter, how long it is tried, and how long its link is good. Pure: no sending, no rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

Kind = Literal[
    "sign_in",
    "mailed_reset",
    "proof",
    "signed_in",
    "password_changed",
    "credential_changed",
    "photos_announced",
    "notice",
]
LinkKind = Literal["sign_in", "mailed_reset", "proof"]
WishKind = Literal["sign_in", "mailed_reset"]
LINK_KINDS: tuple[LinkKind, ...] = get_args(LinkKind)
PAGES: Mapping[LinkKind, str] = {"sign_in": "enter", "mailed_reset": "reset", "proof": "prove"}
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(days=1)
LINK_GIVEN_UP_AFTER = timedelta(minutes=30)
"""Nobody waits longer for a link; another one can be asked for."""
HOW = {
    "password": "with the password",
    "passkey": "with a passkey",
    "mailed-link": "with a mailed link",
    "provider": "with the sign-in provider",
    "new-password": "after the password was changed",
}
_NOT_YOU = (
    "If that was not you: sign out everywhere, set another password, and tell whoever runs this studio."
)
_LINKS: Mapping[LinkKind, tuple[str, str]] = {
    "sign_in": ("Your link to sign in", "This link signs you in. It is good once, for {minutes} minutes:"),
    "mailed_reset": (
        "Your link to a new password",
        "With this link you set a new password. It is good once, for {minutes} minutes:",
    ),
    "proof": (
        "Your link to prove that it is you",
        "Open this link in the browser in which you are signed in. It is good once, for {minutes} minutes:",
    ),
}


@dataclass(frozen=True)
class Letter:
    """Subject and text, as they are sent."""

    subject: str
    text: str


def pause(tries: int) -> timedelta:
    """How long to wait after so many tries."""
    return min(FIRST_PAUSE * (1 << min(tries, 20)), LONGEST_PAUSE)


def is_given_up(kind: Kind, created_at: datetime, now: datetime) -> bool:
    """Whether nobody waits for it any more."""
    return now - created_at >= (LINK_GIVEN_UP_AFTER if kind in LINK_KINDS else GIVEN_UP_AFTER)


def with_link(kind: LinkKind, address: str, secret: str, lives: timedelta) -> Letter:
    """A letter with a link; its secret stands behind the #, which no server sees."""
    subject, text = _LINKS[kind]
    minutes = int(lives.total_seconds() // 60)
    url = f"{address}/{PAGES[kind]}#{secret}"
    unasked = "If you did not ask for it, do nothing: nobody has got in."
    return Letter(subject, _signed(address, text.format(minutes=minutes), url, unasked))


def announcement(kind: Kind, address: str, at: datetime, detail: Mapping[str, Any]) -> Letter:
    """A letter that only tells. `detail`: plain words of our own, nothing that a browser has said."""
    when = f"{at:%Y-%m-%d %H:%M} UTC"
    match kind:
        case "signed_in":
            how = HOW.get(str(detail.get("how")), "")
            return Letter("Somebody has signed in as you", _signed(address, f"On {when}, {how}.", _NOT_YOU))
        case "password_changed":
            return Letter(
                "Your password was changed", _signed(address, f"This was done on {when}.", _NOT_YOU)
            )
        case "photos_announced":
            text = (
                f"As agreed, your photos will be deleted some time after your training: on {detail['on']}. "
                "Your model and your pictures stay. To keep the photos, say so before that day "
                "(PUT /api/v1/account/retention, keep_photos)."
            )
            return Letter("Your photos will be deleted soon", _signed(address, text))
        case "notice":  # its words are ready, in the member's language
            lines = (str(detail.get(part, "")) for part in ("text", "path"))
            text, path = lines
            return Letter(
                str(detail.get("subject", "")), _signed(address, *filter(None, [text]), address + path)
            )
        case _:
            what = str(detail.get("what", "What you sign in with"))
            text = f"{what}. This was done on {when}."
            return Letter("What you sign in with was changed", _signed(address, text, _NOT_YOU))


def _signed(address: str, *paragraphs: str) -> str:
    return "\n\n".join((*paragraphs, f"-- \nPortraitist at {address}")) + "\n"
