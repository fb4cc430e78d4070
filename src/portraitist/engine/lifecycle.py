"""A run's transitions together with the messages they cause, in one transaction each.

Which transition is allowed is guarded in `store.runs`; sending is `webhooks`' business.
"""

from datetime import timedelta

from portraitist.engine import ids
from portraitist.engine.domain import Event, Kind, Run
from portraitist.engine.store import Tx, runs, webhooks
from portraitist.engine.store.runs import Outcome

INTERRUPTED = "Prediction interrupted; please retry (code: PA)"
"""The cloud's text for a run whose machine was lost."""
BROKEN = "Director: unexpected error handling prediction (E1000)"
"""The cloud's text for a fault of its own."""

RUN_LIMIT: dict[Kind, timedelta] = {"prediction": timedelta(minutes=30), "training": timedelta(hours=6)}
"""How long a run may take once it started, pauses and take-overs included (the cloud: 30 minutes)."""


async def _tell(tx: Tx, run: Run, *events: Event) -> None:
    for event in events:
        if run.wants(event):
            await webhooks.insert(tx, ids.message_id(), run.id, event)


async def claim(tx: Tx, kind: Kind, claim_id: str, lease: timedelta) -> Run | None:
    """Take the next run to work on."""
    run = await runs.claim(tx, kind, claim_id, lease, RUN_LIMIT[kind])
    if run is not None and run.attempts == 1:
        await _tell(tx, run, "start")
    return run


async def log(tx: Tx, run_id: str, claim_id: str, text: str) -> bool:
    """Add to the logs; `False` if the claim is lost. The caller throttles to one per 500 ms."""
    run = await runs.append_logs(tx, run_id, claim_id, text)
    if run is not None:
        await _tell(tx, run, "logs")
    return run is not None


async def finish(tx: Tx, run_id: str, claim_id: str, outcome: Outcome) -> bool:
    """End a run; `False` if the claim is lost, and then nothing changed."""
    run = await runs.finish(tx, run_id, claim_id, outcome)
    if run is not None:
        output: tuple[Event, ...] = ("output",) if run.output is not None else ()
        await _tell(tx, run, *output, "completed")
    return run is not None


async def cancel(tx: Tx, run_id: str) -> None:
    """End a run on the caller's wish; does nothing to one that has ended."""
    run = await runs.cancel(tx, run_id)
    if run is not None:
        await _tell(tx, run, "completed")


async def sweep(tx: Tx) -> None:
    """End what ran out of time or out of attempts."""
    for run in [*await runs.expire(tx), *await runs.give_up(tx, INTERRUPTED)]:
        await _tell(tx, run, "completed")
