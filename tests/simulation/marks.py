"""What stands for the instance's signature in the simulation: cheap, and, like a real one, never twice the same."""

import hashlib
import itertools
import struct
import zlib
from dataclasses import dataclass, field, replace

from portraitist.studio.pictures import Picture
from portraitist.studio.provenance import small

_END = 12  # bytes of a PNG's last chunk


@dataclass
class RandomMark:
    """Puts a number into the picture that no other has."""

    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def stamped(self, picture: Picture) -> Picture:
        """The same pixels in other bytes."""
        body = b"tEXtMark\0" + str(next(self.numbers)).encode()
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        data = picture.data[:-_END] + chunk + picture.data[-_END:]
        return replace(picture, data=data, sha256=hashlib.sha256(data).digest())

    def small(self, data: bytes) -> bytes:
        """The small copy as it is, unsigned."""
        return small.copy_of(data)
