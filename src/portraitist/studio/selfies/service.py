"""Members' photos: judged when they arrive, kept when accepted, forgotten on request.

Opening a photo happens in the sandbox and outside any transaction; the verdict is `domain`'s.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from uuid import UUID, uuid4

from portraitist.kit.objects import ObjectExists, ObjectStore
from portraitist.studio.accounts import service as accounts
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.errors import NotFound, Unprocessable
from portraitist.studio.selfies import domain, repository
from portraitist.studio.selfies.domain import Code, Decoded, Rejected
from portraitist.studio.selfies.judging import Judge
from portraitist.studio.selfies.repository import Selfie

MIN_PHOTOS = 10
MAX_PHOTOS = 50
MAX_REJECTED = 200  # remembered verdicts; more than that is somebody emptying a phone into the studio
FILE_NAME_CHARS = 120
PASSING = frozenset({Code.UNREADABLE, Code.NEAR_DUPLICATE})
"""Verdicts that may change by themselves: the machine was too busy, or the photo it resembled is gone."""


@dataclass(frozen=True)
class _Upload:
    """What is known of a photo before it is opened."""

    user_id: str
    consent: UUID
    name: str
    digest: bytes
    now: datetime


@dataclass(frozen=True)
class SelfieService:
    """Takes photos in; needs the judge and the storage, so it is made once per process."""

    db: StudioDatabase
    objects: ObjectStore
    judge: Judge
    min_side: int

    async def add(self, user_id: str, file_name: str, data: bytes, now: datetime) -> Selfie:
        """Judge one photo and keep the verdict; the same bytes again give the same verdict.

        Raises Unprocessable without consent, or when the member has as many photos as a training can use.
        """
        digest = hashlib.sha256(data).digest()
        async with self.db.member(user_id) as tx:
            consent = await accounts.require_consent(tx)
            known = await repository.by_digest(tx, digest)
            if known is not None and known.reason_code not in PASSING:
                return known
            _check_room(await repository.all_of(tx))
        opened = await self.judge.decode(data)
        name = _clean_name(file_name)
        upload = _Upload(user_id, consent, name, digest, now)
        async with self.db.member(user_id) as tx:
            selfie = self._verdict(upload, opened, await accepted(tx))
        if isinstance(opened, Decoded) and selfie.object_key is not None:
            await self._keep(selfie.object_key, opened.jpeg)
        async with self.db.member(user_id) as tx:
            if known is not None:
                await repository.delete(tx, known.id)
            await repository.insert(tx, selfie)
            kept = await repository.by_digest(tx, digest)
        assert kept is not None, "just inserted, or there before"
        return kept

    async def delete(self, user_id: str, selfie_id: UUID) -> None:
        """Forget one photo: the row, then the file. Raises NotFound."""
        async with self.db.member(user_id) as tx:
            selfie = await repository.get(tx, selfie_id)
            if selfie is None:
                raise NotFound("selfie_not_found", "There is no such photo.")
            await repository.delete(tx, selfie_id)
        if selfie.object_key is not None:
            await self.objects.delete(selfie.object_key)

    async def _keep(self, key: str, jpeg: bytes) -> None:
        try:
            await self.objects.put_new(key, jpeg)
        except ObjectExists:
            return  # an earlier try was cut off after this; the same pixels give the same file

    def _verdict(self, upload: "_Upload", opened: Decoded | Rejected, known: list[Selfie]) -> Selfie:
        verdict: domain.Verdict
        if isinstance(opened, Decoded):
            hashes = [(photo.file_name, photo.dhash) for photo in known if photo.dhash is not None]
            verdict = domain.judge(opened.measure, hashes, min_side=self.min_side)
        else:
            verdict = opened
        rejected = verdict if isinstance(verdict, Rejected) else None
        measure = opened.measure if isinstance(opened, Decoded) else None
        kept = opened.jpeg if isinstance(opened, Decoded) and rejected is None else None
        return Selfie(
            user_id=upload.user_id,
            id=uuid4(),
            consent_id=upload.consent,
            file_name=upload.name,
            source_sha256=upload.digest,
            status="accepted" if kept is not None else "rejected",
            reason_code=rejected.code.value if rejected else None,
            reason=rejected.message if rejected else None,
            # the digest is in the key: a second try after a cut finds the first one's file
            object_key=f"members/{upload.user_id}/selfies/{upload.digest.hex()}.jpg"
            if kept is not None
            else None,
            sha256=hashlib.sha256(kept).digest() if kept is not None else None,
            width=measure.width if measure else None,
            height=measure.height if measure else None,
            dhash=measure.dhash if measure and kept is not None else None,
            created_at=upload.now,
        )


async def accepted(tx: UserTx) -> list[Selfie]:
    """The photos that a training may use, in the order they came."""
    return [selfie for selfie in await repository.all_of(tx) if selfie.accepted]


async def see_all(tx: UserTx) -> list[Selfie]:
    """Every judged photo of the member."""
    return await repository.all_of(tx)


def _check_room(photos: list[Selfie]) -> None:
    if sum(photo.accepted for photo in photos) >= MAX_PHOTOS:
        raise Unprocessable(
            "too_many_photos",
            f"You have {MAX_PHOTOS} accepted photos, as many as a training uses.",
            next_step="Remove some before you add others.",
        )
    if len(photos) >= MAX_PHOTOS + MAX_REJECTED:
        raise Unprocessable(
            "too_many_rejected",
            "Very many photos were rejected.",
            next_step="Remove the rejected ones before you add others.",
        )


def _clean_name(file_name: str) -> str:
    """The last part of what the client called it, for messages only; files get names of ours."""
    name = PurePath(file_name.replace("\\", "/")).name
    printable = "".join(c for c in name if c.isprintable())
    return printable[:FILE_NAME_CHARS] or "photo"
