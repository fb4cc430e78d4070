"""Keep a generation's pictures as files, with a contact sheet and a record beside them.

Files are written beside and renamed, so an interrupted run leaves whole files only. Drawing the sheet is all that
this module knows of pictures; it judges none.
"""

import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pillow_heif
from PIL import Image, ImageDraw, ImageFont, ImageOps

from portraitist.cli.wire import Generation

SLUG_WORDS = 6
SHORT = 8  # of the generation's id: enough to tell a folder's shoots apart
PICTURE, PHOTO = (288, 384), (138, 184)  # six photos are as wide as three pictures
GAP = 12
CAPTION = 22
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
PAPER, INK = "white", "#222222"
PHOTOS_SHOWN = 6


def default_out(prompt: str, generation_id: str) -> Path:
    """`./pictures/<words of the prompt>-<short id>`."""
    words = re.findall(r"[^\W_]+", prompt.lower())[:SLUG_WORDS]
    return Path("pictures") / "-".join([*words, generation_id[:SHORT]])


def save(folder: Path, generation_id: str, pictures: Sequence[bytes]) -> list[Path]:
    """Write the PNGs as <short id>-1.png, <short id>-2.png, … and return their paths.

    The generation's id in the name keeps the pictures of earlier shoots into the same folder, and lets an
    interrupted run write the same files again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{generation_id[:SHORT]}-{number}.png" for number in range(1, len(pictures) + 1)]
    for file, data in zip(files, pictures, strict=True):
        _write(file, data)
    return files


def size(file: Path) -> str:
    """A picture's width and height in pixels, in words."""
    with Image.open(file) as picture:
        return f"{picture.width}x{picture.height}"


def save_record(folder: Path, generation: Generation, files: Sequence[Path], engine: str) -> Path:
    """`shoot.json`: how these pictures were made."""
    record = {
        "generation": generation.id,
        "prompt": generation.words,
        "seed": generation.seed,
        "version": generation.version,
        "parameters": dict(generation.parameters),
        "engine": engine,
        "unknown_words": list(generation.unknown_words),
        "pictures": [
            {"file": file.name, "sha256": picture.digest}
            for file, picture in zip(files, generation.pictures, strict=True)
        ],
    }
    file = folder / "shoot.json"
    _write(file, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
    return file


def save_sheet(folder: Path, photos: Sequence[Path], pictures: Sequence[Path], prompt: str) -> Path:
    """`contact-sheet.png`: the pictures, below a row of smaller photos where there are any."""
    pillow_heif.register_heif_opener()
    shown = photos[:PHOTOS_SHOWN]
    rows = [(f"{len(photos)} photos", [_cell(photo, PHOTO) for photo in shown])] if shown else []
    rows.append((f"Pictures: {prompt}", [_cell(picture, PICTURE) for picture in pictures]))
    width = GAP + max(sum(cell.width + GAP for cell in cells) for _, cells in rows)
    height = GAP + sum(CAPTION + cells[0].height + GAP for _, cells in rows)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(size=16), GAP
    for caption, cells in rows:
        draw.text((GAP, top), _fitted(draw, caption, font, width - 2 * GAP), fill=INK, font=font)
        for column, cell in enumerate(cells):
            sheet.paste(cell, (GAP + column * (cell.width + GAP), top + CAPTION))
        top += CAPTION + cells[0].height + GAP
    data = io.BytesIO()
    sheet.save(data, "PNG")
    file = folder / "contact-sheet.png"
    _write(file, data.getvalue())
    return file


def _cell(file: Path, size: tuple[int, int]) -> Image.Image:
    """The picture at this size, upright."""
    with Image.open(file) as image:
        image.draft("RGB", (2 * size[0], 2 * size[1]))  # JPEGs decode at about the size needed
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return ImageOps.fit(upright, size, Image.Resampling.LANCZOS)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> str:
    """The text, shortened until it fits the width."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text + "…"


def _write(file: Path, data: bytes) -> None:
    beside = file.with_name(f".{file.name}.part")
    with beside.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
