"""What a member does next, from how far they are: the one line that the first page always says. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from portraitist.studio.locale.words import _
from portraitist.studio.selfies.service import MIN_PHOTOS
from portraitist.studio.training.domain import ACTIVE, PARKED, Status
from portraitist.studio.web.wording import Step


class Place(StrEnum):
    """How far a member is on the way to pictures."""

    CONSENT = "consent"
    PHOTOS = "photos"
    TRAIN = "train"
    TRAINING = "training"
    RETRY = "retry"
    FAILED = "failed"
    DRAW = "draw"


@dataclass(frozen=True)
class Far:
    """What is known of a member: `latest` is the newest training's status, `model` whether one is in use."""

    consented: bool
    photos: int
    latest: Status | None
    model: bool


def place(far: Far) -> Place:
    """Where the member stands; a model that works is never hidden by a later training."""
    if far.model:
        return Place.DRAW
    if far.latest in ACTIVE:
        return Place.TRAINING
    if far.latest in PARKED:
        return Place.RETRY
    if not far.consented:
        return Place.CONSENT
    if far.photos < MIN_PHOTOS:
        return Place.PHOTOS
    return Place.FAILED if far.latest is Status.FAILED else Place.TRAIN


def next_step(far: Far) -> Step:
    """The step, in words."""
    match place(far):
        case Place.CONSENT:
            text = _("First you read what happens with your photos. Then you add ten or more.")
            return Step(_("Begin"), "/photos", text)
        case Place.PHOTOS:
            return Step(_("Add photos"), "/photos", _missing(far.photos))
        case Place.TRAIN:
            text = _("%(n)s good photos are in. Your model can be trained.", n=far.photos)
            return Step(_("Train your model"), "/training", text)
        case Place.TRAINING:
            text = _("Your model is being trained. You may close this page.")
            return Step(_("See how far it is"), "/training", text)
        case Place.RETRY:
            text = _("Your model is trained, but not in use yet. Looking again is free.")
            return Step(_("Look again"), "/training", text)
        case Place.FAILED:
            text = _("The training did not work out. You can try again.")
            return Step(_("See what happened"), "/training", text)
        case Place.DRAW:
            text = _("Your model is ready. Say where you would like to be seen.")
            return Step(_("Make pictures"), "/pictures", text)


def _missing(photos: int) -> str:
    if not photos:
        return _("Your model needs %(n)s good photos of you.", n=MIN_PHOTOS)
    missing = MIN_PHOTOS - photos
    if missing == 1:
        return _("Your model needs one more good photo.")
    return _("Your model needs %(n)s more good photos.", n=missing)
