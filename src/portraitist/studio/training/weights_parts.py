"""The way of a large file from the provider to us: in parts, so that a cut line or a killed worker costs one part.

Parts lie in our storage under the offset they begin at, until the whole is stored. Where a provider does not serve
ranges the whole file comes at once. What the file is, and whether it is whole, is the caller's to judge.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from portraitist.kit import failpoints
from portraitist.kit.objects import ObjectExists, ObjectStore
from portraitist.studio.provider.port import Provider, ProviderOutputTooLarge

PART_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Parts:
    """The parts of one file, in a folder of our storage. `most`: bytes that the whole may have."""

    objects: ObjectStore
    folder: str
    most: int

    async def fetched(self, provider: Provider, url: str, progressed: Callable[[], Awaitable[None]]) -> bytes:
        """The file, whole; what earlier tries have stored of it is not fetched again.

        `progressed` is called after each part. Raises ProviderError, and KitError where the storage fails.
        """
        whole = await self._stored_so_far()
        while True:
            part = await provider.download_part(url, len(whole), PART_BYTES, self.most)
            if part.first != len(whole):  # no ranges here: this is everything
                return part.data
            whole += part.data
            if len(whole) > self.most:
                raise ProviderOutputTooLarge(f"more than {self.most} bytes")
            if part.is_last:
                return bytes(whole)
            try:
                await self.objects.put_new(self._key(part.first), part.data)
            except ObjectExists:  # somebody else fetches it too
                whole = await self._stored_so_far()
            failpoints.hit("weights.part")
            await progressed()

    async def forget(self) -> None:
        """Remove the parts: the whole is stored, or they don't make one."""
        for key in await self.objects.list(self.folder):
            await self.objects.delete(key)

    async def _stored_so_far(self) -> bytearray:
        """What lies there without a gap, from the beginning."""
        whole = bytearray()
        for key in await self.objects.list(self.folder):
            if key != self._key(len(whole)):
                break
            whole += await self.objects.get(key)
        return whole

    def _key(self, first: int) -> str:
        return f"{self.folder}/{first:012}"
