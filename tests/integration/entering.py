"""Accepted photos entered as rows and files, without being judged: judging has tests of its own, and takes its time."""

import hashlib
import secrets
from collections.abc import Callable

from portraitist.kit.objects import ObjectStore

INSERT = """insert into selfies (user_id, id, consent_id, file_name, source_sha256, status, object_key, sha256,
        width, height, dhash, created_at)
    select %s, gen_random_uuid(), id, 'x.jpg', %s, 'accepted', %s, %s, 512, 512, %s, now()
    from consents where user_id = %s"""


async def enter_photos(
    run: Callable[..., object], objects: ObjectStore, user_id: str, count: int, first: int = 0
) -> None:
    """So many photos of a member who has agreed, numbered from `first`. `run` runs a statement as the superuser."""
    for number in range(first, first + count):
        data = f"a photo of {user_id} number {number}".encode()
        digest, key = hashlib.sha256(data).digest(), f"members/{user_id}/selfies/{number}.jpg"
        await objects.put_new(key, data)
        run(INSERT, user_id, digest, key, digest, secrets.randbits(60), user_id)
