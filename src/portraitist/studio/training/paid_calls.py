"""A call that costs money: made once, and sorted out where its answer was lost.

One piece for a training, for its test picture and for a generation. What will identify the run is on the row
before `send`; a row that is found like that later goes through `sort_out`. What each outcome makes of the row is
the caller's (a `PaidCall`); nothing is stored here.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from portraitist.kit.logging import logger
from portraitist.studio.provider.port import (
    ProviderError,
    ProviderNoCredit,
    ProviderRateLimited,
    ProviderRefused,
    ProviderUnauthorized,
    ProviderUnavailable,
)

log = logger(__name__)
Row = TypeVar("Row")
CLOCKS_DIFFER = timedelta(minutes=1)  # ours and the provider's, when its list is read from a start on


class Waits(Protocol):
    """How long until what: the next look, the next try when the account is refused, giving a start up."""

    @property
    def poll(self) -> timedelta: ...
    @property
    def pause(self) -> timedelta: ...
    @property
    def grace(self) -> timedelta: ...


@dataclass(frozen=True)
class PaidCall(Generic[Row]):
    """How the call is made, how its run is known again, and what becomes of the row."""

    what: str
    """For logs: `training`, `verification` or `generation`, and the row's id."""
    make: Callable[[], Awaitable[str]]
    """The one request. Its answer is the run's id."""
    find: Callable[[], Awaitable[str | None]]
    """The id of the run in the provider's list, if it is there."""
    started: Callable[[str, datetime], Row]
    """The provider has it, under this id."""
    unanswered: Callable[[datetime, timedelta], Row]
    """It may be running: look for it after so long."""
    not_sent: Callable[[datetime, timedelta, ProviderError], Row]
    """Surely not received: again after so long, with the reason shown."""
    refused: Callable[[datetime, ProviderRefused], Row]
    """No, and no again if it were asked again."""
    lost: Callable[[datetime], Row]
    """Never answered, and never seen in the provider's list for as long as it could turn up."""


async def send(call: PaidCall[Row], now: Callable[[], datetime], waits: Waits) -> Row:
    """Make the call, once; the row after its outcome."""
    try:
        run_id = await call.make()
    except ProviderRateLimited as exc:
        return call.not_sent(now(), timedelta(seconds=exc.retry_after_s), exc)
    except (ProviderUnauthorized, ProviderNoCredit) as exc:
        return call.not_sent(now(), waits.pause, exc)
    except ProviderRefused as exc:
        return call.refused(now(), exc)
    except ProviderUnavailable as exc:
        return call.unanswered(now(), waits.poll) if exc.sent else call.not_sent(now(), waits.poll, exc)
    return call.started(run_id, now())


async def sort_out(
    call: PaidCall[Row], sent_at: datetime | None, now: Callable[[], datetime], waits: Waits
) -> Row:
    """A start whose answer we do not have: adopt its run, or be sure that there is none."""
    assert sent_at is not None, "it stands on the row before the call is made"
    found = await call.find()
    if found is not None:
        log.info("start.adopted", what=call.what, provider_id=found)
        return call.started(found, now())
    if now() > sent_at + waits.grace:
        return call.lost(now())
    return call.unanswered(now(), waits.poll)
