"""What differs for generations where an operator looks at runs of all members (`training.overview`). Pure."""

from portraitist.studio.db import listed
from portraitist.studio.generation.domain import ENDED, IN_FLIGHT, Status
from portraitist.studio.training.overview import Words

GENERATIONS = Words(
    table="generation_trackers",
    ended=listed(ENDED),
    in_flight=listed(IN_FLIGHT),
    counted="(attempt > 0 or status <> 'canceled')",
    progress="null::text as phase, null::int as step, null::int as total_steps",
    states=frozenset(Status),
)
