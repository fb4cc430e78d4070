"""What members do with their collection: look through it, search it, put pictures into albums."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from psycopg import errors as pg

from portraitist.studio.db import UserTx
from portraitist.studio.errors import Conflict, NotFound, Unprocessable
from portraitist.studio.gallery import repository
from portraitist.studio.gallery.domain import ALBUM_NAME_CHARS, Album, Filter, Look, Named, album_name
from portraitist.studio.images import service as images
from portraitist.studio.images.domain import Image
from portraitist.studio.paging import Position, Wanted, cut


async def page(tx: UserTx, wanted: Filter, page: Wanted) -> tuple[list[Image], str | None]:
    """A page of the member's pictures, newest first, and the cursor of the next. Raises NotFound for the album."""
    if wanted.album_id is not None:
        await album(tx, wanted.album_id)
    found = await repository.page(tx, wanted, page)
    return cut(found, page, lambda image: Position(image.created_at, image.id))


async def album_names(tx: UserTx, limit: int = 200) -> list[Named]:
    """The member's albums by name, to choose from."""
    return await repository.names(tx, limit)


async def looks(tx: UserTx) -> list[Look]:
    """The looks that the member has pictures of, by their titles."""
    return await repository.looks(tx)


async def albums(tx: UserTx, page: Wanted) -> tuple[list[Album], str | None]:
    """A page of the member's albums, newest first, and the cursor of the next."""
    found = await repository.albums(tx, page)
    return cut(found, page, lambda each: Position(each.created_at, each.id))


async def album(tx: UserTx, album_id: UUID) -> Album:
    """One album of the member; raises NotFound."""
    found = await repository.get(tx, album_id)
    if found is None:
        raise NotFound(
            "album_not_found",
            "There is no such album.",
            next_step="Look at your albums (GET /api/v1/albums), or make one.",
        )
    return found


async def create(tx: UserTx, name: str, key: str | None, now: datetime) -> Album:
    """A new album. The same idempotency key gives the same album; raises Conflict for a name that is taken."""
    wanted, album_id = _checked(name), uuid4()
    if await repository.insert(tx, album_id, wanted, key, now):
        return await album(tx, album_id)
    earlier = None if key is None else await repository.by_key(tx, key)
    if earlier is None:
        raise _taken(wanted)
    return earlier


async def rename(tx: UserTx, album_id: UUID, name: str) -> Album:
    """Give an album another name. Raises NotFound, and Conflict for a name that is taken."""
    await album(tx, album_id)
    wanted = _checked(name)
    try:
        async with tx.conn.transaction():
            await repository.rename(tx, album_id, wanted)
    except pg.UniqueViolation as exc:
        raise _taken(wanted) from exc
    return await album(tx, album_id)


async def delete(tx: UserTx, album_id: UUID) -> None:
    """Remove an album; its pictures stay. Raises NotFound."""
    await album(tx, album_id)
    await repository.delete(tx, album_id)


async def put_in(tx: UserTx, album_id: UUID, image_ids: Sequence[UUID]) -> Album:
    """Put pictures into an album, all or none, which saves them. Raises NotFound for album or picture."""
    await album(tx, album_id)
    await repository.add(tx, album_id, await images.save(tx, image_ids))
    return await album(tx, album_id)


async def take_out(tx: UserTx, album_id: UUID, image_id: UUID) -> Album:
    """Take a picture out of an album; it stays among the others. Raises NotFound."""
    await album(tx, album_id)
    await images.get(tx, image_id)
    await repository.take_out(tx, album_id, image_id)
    return await album(tx, album_id)


async def take_some_out(tx: UserTx, album_id: UUID, image_ids: Sequence[UUID]) -> Album:
    """Take pictures out of an album, all or none; they stay among the others. Raises NotFound."""
    await album(tx, album_id)
    for image_id in image_ids:
        await images.get(tx, image_id)
        await repository.take_out(tx, album_id, image_id)
    return await album(tx, album_id)


def _checked(name: str) -> str:
    checked = album_name(name)
    if checked is None:
        raise Unprocessable(
            "album_name_invalid",
            f"An album's name has 1 to {ALBUM_NAME_CHARS} characters.",
            next_step="Give it a short name, such as Summer.",
        )
    return checked


def _taken(name: str) -> Conflict:
    return Conflict(
        "album_exists", f"You have an album called {name} already.", next_step="Use it, or take another name."
    )
