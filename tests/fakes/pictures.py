"""Small real PNGs that say in their pixels whose model drew them."""

import hashlib
import io

from PIL import Image

SIZE = (96, 128)


def watermarked_png(owner_model: str, seed: int, index: int) -> bytes:
    """A 3:4 picture; its first row of pixels spells the model, so a swapped picture can be told."""
    digest = hashlib.sha256(f"{owner_model} {seed} {index}".encode()).digest()
    image = Image.frombytes("RGB", (3, 3), digest[:27]).resize(SIZE, Image.Resampling.BICUBIC)
    mark = owner_model.encode().ljust(SIZE[0] * 3, b"\0")
    image.paste(Image.frombytes("RGB", (SIZE[0], 1), mark), (0, 0))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def model_of(png: bytes) -> str:
    """The `owner/name` that a picture's pixels spell."""
    with Image.open(io.BytesIO(png)) as image:
        row = image.convert("RGB").crop((0, 0, image.width, 1)).tobytes()
    return row.rstrip(b"\0").decode()


def pixels_of(png: bytes) -> bytes:
    """What a picture shows, whatever else its file says."""
    with Image.open(io.BytesIO(png)) as image:
        return image.convert("RGB").tobytes()
