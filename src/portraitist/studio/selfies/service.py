"""Members' photos: judged when they arrive, kept when accepted, forgotten on request.

Opening a photo happens in the sandbox and outside any transaction; the verdict is `domain`'s.
"""

import asyncio
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from uuid import UUID, uuid4

from PIL import Image

from portraitist.kit.logging import logger
from portraitist.kit.objects import ObjectExists, ObjectMissing, ObjectStore
from portraitist.studio.accounts import service as accounts
from portraitist.studio.db import StudioDatabase, UserTx
from portraitist.studio.errors import NotFound, Unprocessable
from portraitist.studio.selfies import domain, repository
from portraitist.studio.selfies.domain import Accepted, Code, Decoded, Rejected
from portraitist.studio.selfies.faces import FaceCounter, FacesUnknown
from portraitist.studio.selfies.judging import Judge
from portraitist.studio.selfies.repository import Selfie
from portraitist.studio.selfies.variety import Seen, Variety, variety

log = logger(__name__)
MIN_PHOTOS = 10
MAX_PHOTOS = 50
MAX_REJECTED = 200  # remembered verdicts; more than that is somebody emptying a phone into the studio
FILE_NAME_CHARS = 120
THUMBNAIL_SIDE = 320  # pixels of the longer side
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
    waits: bool = False
    """Whether its faces could not be counted yet."""
    face_share: float | None = None


@dataclass(frozen=True)
class SelfieService:
    """Takes photos in; needs the judge and the storage, so it is made once per process."""

    db: StudioDatabase
    objects: ObjectStore
    judge: Judge
    min_side: int
    faces: FaceCounter | None = None
    """Who counts faces; nobody unless the operator has configured it."""

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
            check_room(await repository.all_of(tx))
        opened = await self.judge.decode(data)
        name = clean_name(file_name)
        upload = _Upload(user_id, consent, name, digest, now)
        async with self.db.member(user_id) as tx:
            selfie = self._verdict(upload, opened, await _kept(tx))
        if isinstance(opened, Decoded) and selfie.object_key is not None:
            counted, share = await self._counted(opened)
            opened = counted if isinstance(counted, Rejected) else opened
            upload = replace(upload, waits=counted is None, face_share=share)
            async with self.db.member(user_id) as tx:
                selfie = self._verdict(upload, opened, await _kept(tx))
        if isinstance(opened, Decoded) and selfie.object_key is not None:
            await self._keep(selfie.object_key, opened.jpeg)
        kept = None
        try:
            kept = await self._enter(upload, opened)
        finally:
            # another photo came in between and spoke against this one: no file without a row
            if selfie.object_key is not None and (kept is None or kept.object_key is None):
                await self.objects.delete(selfie.object_key)
        return kept

    async def _counted(self, opened: Decoded) -> tuple[domain.Verdict | None, float | None]:
        """The verdict on the number of faces, None where it can't be had now; and the share that the one face takes.

        Accepted where nobody counts.
        """
        if self.faces is None:
            return Accepted(), None
        try:
            found = await self.faces.count(opened.jpeg)
        except FacesUnknown as exc:
            log.warning("selfies.faces_unknown", reason=str(exc))
            return None, None
        return domain.judge_faces(found.number), found.share

    async def _enter(self, upload: "_Upload", opened: Decoded | Rejected) -> Selfie:
        """Keep the verdict, made anew behind the member's lock: uploads at the same time know of each other."""
        async with self.db.member(upload.user_id) as tx:
            await repository.lock(tx)
            earlier = await repository.by_digest(tx, upload.digest)
            if earlier is not None and earlier.reason_code not in PASSING:
                return earlier
            if earlier is not None:
                await repository.delete(tx, earlier.id)
            photos = await repository.all_of(tx)
            selfie = self._verdict(
                upload, opened, [photo for photo in photos if photo.object_key is not None]
            )
            check_room(photos)
            await repository.insert(tx, selfie)
        return selfie

    async def delete(self, user_id: str, selfie_id: UUID) -> None:
        """Forget one photo: the row, then the file. Raises NotFound."""
        async with self.db.member(user_id) as tx:
            selfie = await repository.get(tx, selfie_id)
            if selfie is None:
                raise _absent()
            await repository.delete(tx, selfie_id)
        if selfie.object_key is not None:
            await self.objects.delete(selfie.object_key)

    async def thumbnail(self, user_id: str, selfie_id: UUID) -> bytes:
        """A small JPEG of an accepted photo. Raises NotFound, for a rejected one too: its pixels were not kept."""
        async with self.db.member(user_id) as tx:
            selfie = await repository.get(tx, selfie_id)
        if selfie is None or selfie.object_key is None:
            raise _absent()
        try:
            return await asyncio.to_thread(_small, await self.objects.get(selfie.object_key))
        except ObjectMissing as exc:  # deleted between the two looks
            raise _absent() from exc

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
        told = measure if kept is not None else None  # of a photo that is not kept nothing is known
        return Selfie(
            user_id=upload.user_id,
            id=uuid4(),
            consent_id=upload.consent,
            file_name=upload.name,
            source_sha256=upload.digest,
            status="rejected" if kept is None else "waiting" if upload.waits else "accepted",
            reason_code=rejected.code.value if rejected else None,
            reason=rejected.message if rejected else None,
            # the digest is in the key: a second try after a cut finds the first one's file
            object_key=f"members/{upload.user_id}/selfies/{upload.digest.hex()}.jpg"
            if kept is not None
            else None,
            sha256=hashlib.sha256(kept).digest() if kept is not None else None,
            width=measure.width if measure else None,
            height=measure.height if measure else None,
            dhash=told.dhash if told else None,
            created_at=upload.now,
            mean_luma=told.mean_luma if told else None,
            warmth=told.warmth if told else None,
            ground=told.ground if told else None,
            face_share=upload.face_share if told else None,
        )


def _absent() -> NotFound:
    return NotFound("selfie_not_found", "There is no such photo.")


def _small(jpeg: bytes) -> bytes:
    """A photo of ours, which was encoded here, once more at a fraction of its size."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as photo:
        photo.draft("RGB", (THUMBNAIL_SIDE, THUMBNAIL_SIDE))  # decodes no more than is shown
        photo.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        small = io.BytesIO()
        photo.save(small, "JPEG", quality=82)
    return small.getvalue()


async def accepted(tx: UserTx) -> list[Selfie]:
    """The photos that a training may use, in the order they came."""
    return [selfie for selfie in await repository.all_of(tx) if selfie.accepted]


def variety_of(photos: Iterable[Selfie]) -> Variety:
    """How varied the accepted ones of these photos are."""
    return variety([Seen(p.mean_luma, p.warmth, p.ground, p.face_share) for p in photos if p.accepted])


async def _kept(tx: UserTx) -> list[Selfie]:
    """The photos that others are compared with: accepted ones, and those that wait."""
    return [selfie for selfie in await repository.all_of(tx) if selfie.object_key is not None]


async def see_all(tx: UserTx) -> list[Selfie]:
    """Every judged photo of the member."""
    return await repository.all_of(tx)


def check_room(photos: list[Selfie]) -> None:
    """Raises Unprocessable where a member has as many photos as a training uses, or very many rejected."""
    if sum(photo.accepted or photo.waits for photo in photos) >= MAX_PHOTOS:
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


def clean_name(file_name: str) -> str:
    """The last part of what the client called it, for messages only; files get names of ours."""
    name = PurePath(file_name.replace("\\", "/")).name
    printable = "".join(c for c in name if c.isprintable())
    return printable[:FILE_NAME_CHARS] or "photo"
