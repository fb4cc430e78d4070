"""PNG files as chunks: what is not the picture is taken out, one XMP packet is put in; no pixel is touched.

Pure. Facts: PNG specification, third edition (chunk layout, CRC-32, iTXt with the XMP keyword); IPTC Photo Metadata
Standard (DigitalSourceType in the namespace Iptc4xmpExt).
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

GENERATED: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for "made by a trained model"; the same address stands in the manifest."""
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_OF_THE_PICTURE: Final = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP"}
)
"""Chunks without which the pixels would look otherwise. All else is words: some engines write the prompt there."""
_HEAD: Final = struct.Struct(">I4s")
_CRC: Final = struct.Struct(">I")
XMP: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{GENERATED}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
).encode()


class NotAPng(ValueError):
    """The bytes are no PNG file, or a damaged one."""


def is_png(data: bytes) -> bool:
    """Whether the bytes begin as a PNG does."""
    return data.startswith(_SIGNATURE)


def marked(data: bytes) -> bytes:
    """The same picture, its pixels untouched, with "made by a trained model" as its only words. Raises NotAPng."""
    parts = [_SIGNATURE]
    for kind, chunk in _chunks(data):
        if kind in _OF_THE_PICTURE:
            parts.append(chunk)
        if kind == b"IHDR":
            parts.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))
    return b"".join(parts)


def is_whole(data: bytes) -> bool:
    """Whether every chunk has its own check sum, and nothing stands before or behind them."""
    try:
        return all(kind for kind, _ in _chunks(data))
    except NotAPng:
        return False


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and whole bytes of each chunk, checked, to the last; raises NotAPng."""
    if not is_png(data):
        raise NotAPng("no PNG")
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        if at + _HEAD.size > len(data):
            raise NotAPng("it ends early")
        length, kind = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length + _CRC.size
        if end > len(data):
            raise NotAPng("a chunk is cut off")
        (check,) = _CRC.unpack_from(data, end - _CRC.size)
        if zlib.crc32(data[at + 4 : end - _CRC.size]) != check:
            raise NotAPng("a chunk is damaged")
        yield kind, data[at:end]
        at = end
    if at != len(data):
        raise NotAPng("something stands behind its end")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return _HEAD.pack(len(body), kind) + body + _CRC.pack(zlib.crc32(kind + body))
