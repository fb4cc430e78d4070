"""Photos that mean harm: each is one refused photo, within its limits; the next photo is none the worse."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from PIL import Image
from tests.unit.studio.selfies import hostile
from tests.unit.studio.selfies.hostile import encoded, portrait
from tests.unit.studio.selfies.processes import opened_alone, peak_mib

from portraitist.studio.selfies import domain
from portraitist.studio.selfies.domain import Code, Decoded, Limits, Rejected
from portraitist.studio.selfies.judging import Judge

pytestmark = pytest.mark.anyio
UNGUARDED = Limits(max_pixels=10**10, memory_bytes=4 * 2**30)
"""The planted bug: no look at the header, and no roof over the memory."""
ROOM_MIB = 40
"""What refusing a bomb may take on top of an idle sandbox; opening the smallest one takes more than 60."""

REFUSED: dict[str, tuple[Callable[[], bytes], Code]] = {
    "nothing at all": (lambda: b"", Code.NOT_A_PICTURE),
    "text named .jpg": (lambda: b"Dear diary, this is no photo. " * 100, Code.NOT_A_PICTURE),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', Code.NOT_A_PICTURE),
    "eps": (lambda: encoded(portrait(), "EPS"), Code.NOT_A_PICTURE),
    "pdf": (lambda: encoded(portrait(), "PDF"), Code.NOT_A_PICTURE),
    "gif": (lambda: hostile.animation("GIF"), Code.NOT_A_PICTURE),
    "tiff": (lambda: encoded(portrait(), "TIFF"), Code.NOT_A_PICTURE),
    "bmp": (lambda: encoded(portrait(), "BMP"), Code.NOT_A_PICTURE),
    "ico": (lambda: encoded(portrait(), "ICO"), Code.NOT_A_PICTURE),
    "pcx": (lambda: encoded(portrait(), "PCX"), Code.NOT_A_PICTURE),
    "avif": (lambda: encoded(portrait(), "AVIF"), Code.NOT_A_PICTURE),
    "animated webp": (lambda: hostile.animation("WEBP"), Code.ANIMATED),
    "animated png": (lambda: hostile.animation("PNG"), Code.ANIMATED),
    "giant png header": (hostile.giant_png_header, Code.TOO_LARGE),
    "giant jpeg header": (hostile.giant_jpeg_header, Code.TOO_LARGE),
    "giant webp header": (hostile.giant_webp_header, Code.TOO_LARGE),
    "more bytes than allowed": (lambda: bytes(Limits.max_bytes + 1), Code.TOO_LARGE),
    "a chunk of text that swells": (lambda: hostile.text_bomb(b"zTXt"), Code.UNREADABLE),
    "a picture cut off": (lambda: encoded(portrait(), "JPEG")[:-2000], Code.UNREADABLE),
    "a heic cut off": (lambda: encoded(portrait(), "HEIF")[:-2000], Code.UNREADABLE),
    "a png with no pixels": (lambda: hostile.png(300, 300, bits=8, pixels=b""), Code.UNREADABLE),
    "a png without width": (lambda: hostile.png(0, 300, bits=8, pixels=b""), Code.NOT_A_PICTURE),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_file_is_one_refused_photo(judge: Judge, name: str) -> None:
    data, code = REFUSED[name]
    found = await judge.decode(data())
    assert isinstance(found, Rejected)
    assert found.code is code
    assert isinstance(await judge.decode(encoded(portrait(), "JPEG")), Decoded)


@pytest.mark.parametrize("side", [8_000, 12_000, 16_000])
async def test_a_bomb_is_refused_by_its_header(judge: Judge, side: int) -> None:
    bomb = hostile.png_bomb(side)
    assert len(bomb) < 40_000
    before = peak_mib()
    found = await judge.decode(bomb)
    assert isinstance(found, Rejected)
    assert found.code is Code.TOO_LARGE
    assert peak_mib() - before < 1
    answer, taken = opened_alone(bomb, Limits())
    assert answer is Code.TOO_LARGE
    assert taken < ROOM_MIB


def test_a_bomb_would_fill_the_memory_of_a_sandbox_that_does_not_look_at_headers() -> None:
    answer, taken = opened_alone(hostile.png_bomb(8_000), UNGUARDED)
    assert isinstance(answer, Decoded)
    assert taken > ROOM_MIB


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"])
def test_a_chunk_that_swells_is_never_unpacked_whole(name: bytes) -> None:
    answer, taken = opened_alone(hostile.text_bomb(name), UNGUARDED)
    assert not isinstance(answer, Decoded) or name == b"iCCP"  # a profile may be dropped, the pixels are fine
    assert taken < ROOM_MIB


async def test_a_photo_that_takes_more_memory_than_there_is_is_too_large() -> None:
    photo = encoded(Image.new("RGB", (6_000, 6_000), "red"), "PNG", compress_level=1)
    async with Judge(limits=Limits(memory_bytes=120 * 2**20)) as judge:
        found = await judge.decode(photo)
        assert isinstance(found, Rejected)
        assert found.code is Code.TOO_LARGE
        assert isinstance(await judge.decode(encoded(portrait(), "JPEG")), Decoded)


def test_a_photo_that_takes_too_long_ends_its_sandbox_even_when_nobody_watches() -> None:
    answer, _ = opened_alone(hostile.scan_bomb(), Limits(seconds=1))
    assert answer is None


async def test_directories_that_point_at_themselves_end(judge: Judge) -> None:
    assert isinstance(await judge.decode(hostile.endless_exif()), Decoded)


@pytest.mark.parametrize("size", [(1, 65_535), (65_535, 1), (1, 1)])
async def test_a_thread_of_a_picture_is_too_small(judge: Judge, size: tuple[int, int]) -> None:
    found = await judge.decode(encoded(Image.new("L", size), "PNG"))
    assert isinstance(found, Decoded)
    verdict = domain.judge(found.measure, (), min_side=domain.EMBEDDED_MIN_SIDE)
    assert isinstance(verdict, Rejected)
    assert verdict.code is Code.TOO_SMALL


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
async def test_a_file_damaged_anywhere_never_harms_the_judge(judge: Judge, kind: str) -> None:
    whole = encoded(portrait(120), kind)
    for at in range(1, len(whole) - 64, len(whole) // 8):
        assert isinstance(await judge.decode(whole[:at]), Rejected)
        flipped = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        assert isinstance(await judge.decode(flipped), Decoded | Rejected)


ESCAPES = {
    "file": "open('/etc/hostname')",
    "socket": "socket.socket()",
    "process": "os.execv('/bin/true', ['true'])",
    "more files again": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "memory": "bytearray(600 * 2**20)",
}
PROLOGUE = "import os, resource, socket; from portraitist.studio.selfies import sandbox, domain; "


def _tried(act: str, *, given_up: bool) -> int:
    """The exit status of a process that tries this, with or without the sandbox's giving up."""
    give_up = "sandbox._give_up(domain.Limits()); " if given_up else ""
    return subprocess.run(
        [sys.executable, "-c", PROLOGUE + give_up + act], capture_output=True, check=False, cwd="/"
    ).returncode


@pytest.mark.parametrize("name", ESCAPES)
def test_code_that_took_over_a_decoder_gets_neither_files_nor_network_nor_memory(name: str) -> None:
    assert _tried(ESCAPES[name], given_up=True) != 0
    assert _tried(ESCAPES[name], given_up=False) == 0
