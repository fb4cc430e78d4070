"""What each notice says, where it leads, and the words on its one button; in the language of whoever reads it."""

from dataclasses import dataclass
from datetime import date

from portraitist.studio.locale import figures
from portraitist.studio.locale.words import _, said
from portraitist.studio.notices.domain import Kind, Notice

PLACES = {
    Kind.MODEL_READY: "/pictures",
    Kind.TRAINING_FAILED: "/training",
    Kind.TRAINING_PARKED: "/training",
    Kind.PHOTOS_ANNOUNCED: "/account/data",
    Kind.PREVIEWS_ANNOUNCED: "/gallery?all=1",
}
"""Where each kind leads."""


@dataclass(frozen=True)
class Words:
    """A notice for people; `text` may be empty."""

    title: str
    text: str
    button: str
    path: str


def of_kind(kind: Kind) -> Words:
    """Without anything of the member's: what a push shows."""
    match kind:
        case Kind.MODEL_READY:
            text = _("Say where you would like to be seen.")
            return Words(_("Your model is ready"), text, _("Make pictures"), PLACES[kind])
        case Kind.TRAINING_FAILED:
            return Words(_("The training did not work out"), "", _("See what helps"), PLACES[kind])
        case Kind.TRAINING_PARKED:
            text = _("The studio keeps looking; you can have it look again at no cost.")
            return Words(_("Your model is trained, but not in use yet"), text, _("Look again"), PLACES[kind])
        case Kind.PHOTOS_ANNOUNCED:
            text = _("Your model and your pictures stay.")
            return Words(_("Your photos will be deleted soon"), text, _("Keep my photos"), PLACES[kind])
        case Kind.PREVIEWS_ANNOUNCED:
            text = _("A heart keeps a picture.")
            title = _("Pictures that you never saved will be deleted soon")
            return Words(title, text, _("Look at them"), PLACES[kind])


def of(notice: Notice) -> Words:
    """With what it is about: the reason, or the day."""
    words = of_kind(notice.kind)
    on = notice.detail.get("on")
    if on is None:
        text = " ".join(filter(None, (said(notice.detail.get("error", "")), words.text)))
        return Words(words.title, text, words.button, words.path)
    day = figures.day(date.fromisoformat(on))
    if notice.kind is Kind.PHOTOS_ANNOUNCED:
        title = _("Your photos will be deleted on %(day)s", day=day)
    else:
        title = _("Pictures that you never saved will be deleted on %(day)s", day=day)
    return Words(title, words.text, words.button, words.path)
