"""What must be seen on the way, not only at the end: noted at every commit of a schedule."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from portraitist.studio.training.domain import Training
from tests.simulation.evidence import Shown
from tests.simulation.rows import PAID_FOR
from tests.simulation.store import Tables


@dataclass
class Watch:
    """The most trainings at once, models that were cleared, pictures that were deleted, progress that was shown."""

    at_once: Counter[str] = field(default_factory=Counter)
    cleared: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    shown: dict[UUID, list[Shown]] = field(default_factory=dict)
    _last: dict[UUID, Training] = field(default_factory=dict)

    def committed(self, tables: Tables, now: datetime) -> None:
        """Look at what is there now."""
        self.at_once |= Counter(row.user_id for row in tables.trainings.values() if row.status in PAID_FOR)
        for member, model in tables.user_models.items():
            if model.active is None and member not in self.cleared:
                self.cleared.append(member)
        self.deleted |= {image.object_key for image in tables.images.values() if image.deleted_at}
        for row in tables.trainings.values():
            if self._last.get(row.id) is not row:
                self._last[row.id] = row
                shown = Shown(now, row.status, row.provider_training_id, row.step, row.percent)
                self.shown.setdefault(row.id, []).append(shown)
