"""`/api/v1/admin/events`: the audit events, and the check that nobody has changed them; for admins and the host."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from portraitist.studio.accounts.admission import MEMBER_NOT_FOUND
from portraitist.studio.accounts.signed_in import OperatorId, OperatorOnly
from portraitist.studio.errors import Unprocessable
from portraitist.studio.http import CoreDep
from portraitist.studio.openapi import problems
from portraitist.studio.paging import USUAL, Cursor, Limit, wanted
from portraitist.studio.trail import sealing, service
from portraitist.studio.trail.bodies import EventsOut
from portraitist.studio.trail.domain import Head, Kind
from portraitist.studio.trail.service import Report

router = APIRouter(prefix="/api/v1/admin/events", tags=["admin"], dependencies=[OperatorOnly])


class FindingOut(BaseModel):
    """One thing that is wrong: at a number of the chain, or at an event."""

    kind: Kind = Field(examples=["changed"])
    seq: int | None = Field(examples=[17])
    event_id: UUID | None


class ReportOut(BaseModel):
    """What the check came to. `head` is for noting elsewhere: with it, a later check needs to trust nobody here."""

    whole: bool
    entries: int = Field(examples=[412])
    waiting: int = Field(description="Events of the last seconds, not sealed yet.", examples=[1])
    head: str | None = Field(examples=["412:" + "5e" * 32])
    noted: int = Field(
        description="Heads noted outside of the database that it was compared with.", examples=[9]
    )
    findings: list[FindingOut]

    @classmethod
    def of(cls, report: Report) -> "ReportOut":
        """As the API shows it."""
        return cls(
            whole=report.whole,
            entries=report.entries,
            waiting=report.waiting,
            head=None if report.head is None else str(report.head),
            noted=report.noted,
            findings=[FindingOut(**vars(finding)) for finding in report.findings],
        )


@router.get("", responses=problems("cursor_invalid", "member_not_found"))
async def list_events(
    by: OperatorId,
    core: CoreDep,
    user_id: Annotated[str | None, Query(max_length=12, description="About this member only.")] = None,
    cursor: Cursor = None,
    limit: Limit = USUAL,
) -> EventsOut:
    """Audit events, newest first: of everybody, or about one member."""
    page = wanted(cursor, limit)
    async with core.db.registrar(by) as tx:
        subject = None if user_id is None else await service.subject_of(tx, user_id)
        if user_id is not None and subject is None:
            raise MEMBER_NOT_FOUND
        return EventsOut.of(await service.page(tx, page, subject), page)


@router.get("/verify", responses=problems("head_invalid"))
async def verify_events(
    core: CoreDep,
    head: Annotated[
        str | None, Query(max_length=100, description="A head that was noted elsewhere, as number:digest.")
    ] = None,
) -> ReportOut:
    """Check every event against its digest, and the chain against the heads in the storage and the one given."""
    noted = await sealing.noted(core.objects)
    return ReportOut.of(await service.verified(core.db, noted if head is None else [*noted, _head(head)]))


def _head(text: str) -> Head:
    try:
        return Head.parse(text)
    except ValueError as exc:
        raise Unprocessable(
            "head_invalid", "A head is number:digest.", next_step="Give it as `events verify` has shown it."
        ) from exc
