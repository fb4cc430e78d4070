"""How the studio is, as the admin's page: each part now, a small plot of the time before, and that in words."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Annotated, Literal, cast

from fastapi import Query, Request
from starlette.responses import Response

from portraitist.studio.admin import health
from portraitist.studio.admin.health import History
from portraitist.studio.admin.samples import Sample
from portraitist.studio.admin.status import status
from portraitist.studio.locale import figures
from portraitist.studio.provider.port import Provider
from portraitist.studio.training.endpoints import AccountsDep
from portraitist.studio.web.admin_pages.plots import Frame, Plot, plot, strip
from portraitist.studio.web.admin_pages.visiting import Admin, admin_router

router = admin_router()
DAY_HOURS = 24
MEGABYTE = 1e6
Value = Callable[[Sample], float | None]
SERIES: dict[str, tuple[Value, float]] = {
    "due": (lambda sample: sample.due, 5),
    "waiting": (lambda sample: sample.waiting, 5),
    "in_flight": (lambda sample: sample.in_flight, 5),
    "workers": (lambda sample: sample.workers, 2),
    "engine_ms": (lambda sample: sample.engine_ms if sample.engine_reachable else None, 50),
    "database_ms": (lambda sample: sample.database_ms, 20),
    "database_bytes": (lambda sample: sample.database_bytes, 10 * MEGABYTE),
    "storage_bytes": (lambda sample: sample.storage_bytes, 10 * MEGABYTE),
}
"""What is plotted: its value, and how high the scale is at least."""


@dataclass(frozen=True)
class Stretch:
    """An hour or a day in words: the worst of it."""

    samples: Sequence[Sample]

    @property
    def first(self) -> Sample:
        """Its first sample."""
        return self.samples[0]

    def most(self, name: str) -> float:
        """The largest value."""
        return float(max(getattr(sample, name) for sample in self.samples))

    @property
    def engine_away(self) -> bool:
        """Whether the engine did not answer at some time."""
        return not all(sample.engine_reachable for sample in self.samples)


@router.get("/admin/health")
async def health_page(
    visit: Admin,
    request: Request,
    accounts: AccountsDep,
    hours: Annotated[Literal["24", "168"], Query()] = "24",
) -> Response:
    """Parts as they answer just now, and the last day or week."""
    core = visit.core
    now = await status(core, cast(Provider, request.app.state.provider), accounts)
    found = await health.history(core.db, timedelta(hours=int(hours)), visit.now)
    shown = {
        "status": now,
        "latest": found.latest,
        "stale": found.latest is None or found.latest.at < visit.now - timedelta(minutes=3),
        "hours": int(hours),
        "since": found.since,
        "plots": _plots(found),
        "engine": strip([(each.at, each.engine_reachable) for each in found.past], _frame(found)),
        "stretches": _stretches(found, int(hours)),
    }
    return visit.show("health.html", shown)


def _frame(found: History) -> Frame:
    return Frame(found.since, found.since + health.POINTS * found.step, found.step)


def _plots(found: History) -> dict[str, Plot]:
    samples = list(_carried(found.past))
    return {
        name: plot([(each.at, value(each)) for each in samples], _frame(found), ceiling=ceiling)
        for name, (value, ceiling) in SERIES.items()
    }


def _carried(samples: Sequence[Sample]) -> Iterator[Sample]:
    """The storage is counted once an hour; until then it is as it was."""
    counted: int | None = None
    for each in samples:
        counted = each.storage_bytes if each.storage_bytes is not None else counted
        yield replace(each, storage_bytes=counted)


def _stretches(found: History, hours: int) -> list[Stretch]:
    """Hour by hour, or day by day, newest first."""
    by = "%Y-%m-%d %H" if hours <= DAY_HOURS else "%Y-%m-%d"
    grouped = groupby(found.past, key=lambda sample: figures.local(sample.at).strftime(by))
    return [Stretch(list(some)) for _, some in grouped][::-1]
