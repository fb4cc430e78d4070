"""Photos that mean harm, are broken or are merely odd, each made by a few lines; nothing is downloaded."""

import io
import struct
import zipfile
import zlib

import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin
from skimage import data

SECRET = b"taken at home, 52.5163 N"
"""Stands in every piece of metadata that a test wants gone."""


def portrait(side: int = 400) -> Image.Image:
    """A sharp real photo, taller than wide, not symmetric in any way."""
    return Image.fromarray(data.astronaut()).crop((60, 0, 444, 512)).resize((side * 3 // 4, side))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file of this kind."""
    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk with its right checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *, bits: int, pixels: bytes, extra: bytes = b"") -> bytes:
    """A grey PNG of these compressed pixels, whatever its header claims."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """So many zero bytes, compressed without ever lying in memory."""
    packer = zlib.compressobj(9)
    piece = bytes(2**20)
    parts = [packer.compress(piece[: min(len(piece), count - at)]) for at in range(0, count, len(piece))]
    return b"".join(parts) + packer.flush()


def png_bomb(side: int) -> bytes:
    """A black 1-bit PNG: kilobytes that become side × side pixels."""
    return png(side, side, bits=1, pixels=zeros(side * (1 + (side + 7) // 8)))


def giant_png_header() -> bytes:
    """Ten gigapixels claimed, ten bytes there."""
    return png(100_000, 100_000, bits=8, pixels=zlib.compress(bytes(10)))


def giant_jpeg_header() -> bytes:
    """A small JPEG whose frame header claims 65,500 × 65,500 pixels."""
    small = encoded(portrait(64), "JPEG")
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + struct.pack(">HH", 65_500, 65_500) + small[at + 4 :]


def giant_webp_header() -> bytes:
    """An extended WebP that claims a canvas of 16,384 × 16,384 pixels."""
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\x3f\x00\xff\x3f\x00"
    body += encoded(portrait(64), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def text_bomb(name: bytes) -> bytes:
    """A small picture with a compressed chunk (zTXt or iCCP) of a quarter gigabyte."""
    extra = chunk(name, b"Comment\0\0" + zeros(2**28))
    return png(300, 300, bits=8, pixels=zlib.compress(bytes(300 * 301)), extra=extra)


def scan_bomb() -> bytes:
    """A progressive JPEG whose last scan stands there 300 times more: 0.2 MB, a quarter of a minute to open."""
    small = encoded(Image.new("L", (7000, 7000), 128), "JPEG", progressive=True, quality=30)
    return small[:-2] + small[small.rindex(b"\xff\xda") : -2] * 300 + small[-2:]


def endless_exif() -> bytes:
    """A JPEG whose EXIF directories point at themselves."""
    loop = b"II*\0\x08\0\0\0" + b"\x02\0" + b"\x69\x87\x04\0\x01\0\0\0\x08\0\0\0"
    loop += b"\x25\x88\x04\0\x01\0\0\0\x08\0\0\0" + b"\x08\0\0\0"
    return encoded(portrait(), "JPEG", exif=b"Exif\0\0" + loop)


def animation(kind: str) -> bytes:
    """Two different frames as APNG, animated WebP or GIF."""
    still = portrait()
    mirrored = still.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return encoded(still, kind, save_all=True, append_images=[mirrored], duration=100)


def oriented(picture: Image.Image, orientation: int, kind: str = "JPEG") -> bytes:
    """The file with this EXIF orientation beside its pixels."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture, kind, exif=exif.tobytes(), quality=95)


def chatty(kind: str, *, profile: bool = True) -> bytes:
    """A photo that tells where it was taken in every way its format knows, in a colour profile too or not."""
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif.get_ifd(0x8825)[0x001D] = SECRET.decode()
    options: dict[str, object] = {"exif": exif.tobytes(), "xmp": b"<x>" + SECRET + b"</x>"}
    if kind == "JPEG":
        options["comment"] = SECRET
    if kind == "PNG":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Comment", SECRET.decode())
        notes.add_itxt("XML:com.adobe.xmp", SECRET.decode())
        options = {"exif": exif.tobytes(), "pnginfo": notes}
    if profile:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        options["icc_profile"] = srgb.tobytes() + SECRET
    return encoded(portrait(), kind, **options) + (SECRET if kind in ("JPEG", "PNG") else b"")


def with_archive() -> bytes:
    """A JPEG that is a ZIP archive as well."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("run.html", SECRET)
    return encoded(portrait(), "JPEG") + out.getvalue()


def swapped_colours() -> bytes:
    """A red picture whose profile says that its first channel is green."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"\0tmp", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"\0tmp", b"gXYZ", 1)
    return encoded(Image.new("RGB", (300, 300), (220, 20, 20)), "PNG", icc_profile=swapped)
