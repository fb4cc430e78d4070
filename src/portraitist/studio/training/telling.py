"""What a member is told of a training without having asked: entered with the step that it is about, once."""

from collections.abc import Mapping
from datetime import datetime

from portraitist.studio.db import UserTx
from portraitist.studio.notices import service as notices
from portraitist.studio.notices.domain import Kind
from portraitist.studio.training.domain import Status, Training

TOLD: Mapping[Status, Kind] = {
    Status.COMPLETED: Kind.MODEL_READY,
    Status.FAILED: Kind.TRAINING_FAILED,
    Status.EXTRACTION_FAILED: Kind.TRAINING_PARKED,
    Status.VERIFICATION_FAILED: Kind.TRAINING_PARKED,
}
"""A member who cancels knows it."""


async def tell(after: Training, now: datetime, tx: UserTx) -> None:
    """Tell of a step that ends something; a training that is parked again and again is told of once."""
    kind = TOLD.get(after.status)
    if kind is not None:
        why = {"error": after.error} if after.error else {}
        await notices.tell(tx, kind, str(after.id), now, **why)
