"""Contact sheet of the embedded engine: a member's photos beside pictures made by their freshly trained model.

    python bench/likeness_sheet.py --photos FOLDER --out sheet.png [--steps N] [--base DIR] [--checkpoint DIR]

Prints how near the pictures are to the member's photos and to another member's (contrast-normalised mean difference
of the face region; lower is nearer), sharpness (variance of the Laplacian), seconds and peak memory.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: it is read when the threads are made

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from torch.nn.functional import interpolate

from portraitist.engine.tiny import member, sampler
from portraitist.engine.tiny.drawing import draw_selfies

Pixels = NDArray[np.uint8]
SIZE = (192, 256)
PROMPTS = (
    "in a garden, soft morning light", "at night", "black and white", "close-up", "warm light", "blue background",
    "on a beach", "in a library", "half body, in the snow", "in a city street", "dramatic light", "",
)  # fmt: skip
ROWS = 3
SEED = 11
GUIDANCE, STEPS, SCALE = 2.8, 40, 0.95
"""The studio's locked generation parameters."""


class Printed:
    """Progress as lines."""

    def phase(self, name: str) -> None:
        print(name, flush=True)

    def caption(self, file: str, text: str) -> None:
        print(f"  {file}: {text}")

    def step(self, n: int, total: int, loss: float, lr: float) -> None:
        if n % 100 == 0 or n == total:
            print(f"  {n}/{total} loss {loss:.4f}", flush=True)

    def breathe(self) -> None:
        pass


def nearest(pictures: Pixels, photos: Pixels) -> torch.Tensor:
    """For each picture the smallest mean difference to any photo over small shifts, face region only."""

    def small(images: Pixels) -> torch.Tensor:
        field = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
        return interpolate(field, size=(64, 48), mode="area")

    def even(field: torch.Tensor) -> torch.Tensor:
        mean, spread = field.mean((1, 2, 3), keepdim=True), field.std((1, 2, 3), keepdim=True)
        return (field - mean) / (spread + 1e-4)

    faces, others = even(small(pictures)[..., 8:48, 8:40]), small(photos)
    best = torch.full((len(faces),), torch.inf)
    for down in range(-4, 5, 2):
        for across in range(-4, 5, 2):
            moved = even(others[..., 8 + down : 48 + down, 8 + across : 40 + across])
            apart = (faces[:, None] - moved[None]).abs().mean((2, 3, 4)).min(1).values
            best = torch.minimum(best, apart)
    return best


def sharpness(pictures: Pixels) -> float:
    """Median variance of the Laplacian of the brightness."""
    grey = torch.from_numpy(np.ascontiguousarray(pictures)).float().mean(-1)
    ring = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return float((4 * grey[:, 1:-1, 1:-1] - ring).var((1, 2)).median())


def cut(image: Image.Image) -> Pixels:
    """A photo as the tiny model sees it."""
    upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(ImageOps.fit(upright, SIZE, Image.Resampling.LANCZOS, centering=(0.5, 0.4)))


def train(arguments: argparse.Namespace, photos: list[Path]) -> Path:
    """A fresh model of these photos; its directory."""
    out = Path(tempfile.mkdtemp(prefix="likeness-")) / "member"
    captions = {p.name: p.with_suffix(".txt").read_text() for p in photos if p.with_suffix(".txt").exists()}
    request = member.TrainingRequest(
        photos, captions, "userbench0000001", arguments.steps, 1, arguments.base, out
    )
    result = member.train(request, Printed())
    losses = f"{result.flow_loss:.4f}/{result.decoder_loss:.4f}"
    memory = f"{result.peak_rss_bytes / 2**30:.2f} GiB"
    print(f"training {result.seconds:.0f} s, {result.steps} steps, loss {losses}, peak {memory}")
    return out


def draw(arguments: argparse.Namespace, checkpoint: Path) -> list[list[Pixels]]:
    """Rows of pictures, one picture for each prompt in each row."""
    model = sampler.LoadedModel.load(checkpoint, arguments.base, SCALE)
    trigger = json.loads((checkpoint / "portraitist.json").read_text())["trigger_word"]
    columns = []
    begun = time.monotonic()
    for prompt in PROMPTS:
        pictures = model.generate(
            f"{trigger} person {prompt}", seed=SEED, num_outputs=ROWS, num_inference_steps=STEPS, guidance=GUIDANCE,
            width=SIZE[0], height=SIZE[1], breathe=lambda done, total: None,
        )  # fmt: skip
        columns.append([np.asarray(picture) for picture in pictures])
    print(f"three pictures {(time.monotonic() - begun) / len(PROMPTS):.1f} s")
    return [list(row) for row in zip(*columns, strict=True)]


def sheet(photos: list[Pixels], rows: list[list[Pixels]], out: Path) -> None:
    """Photos above, pictures below, the prompt over each column."""
    wide, (width, height), label = len(PROMPTS), SIZE, 16
    page = Image.new("RGB", (wide * width, (1 + len(rows)) * height + label), "white")
    pen = ImageDraw.Draw(page)
    for column, photo in enumerate(photos[:wide]):
        page.paste(Image.fromarray(photo), (column * width, 0))
    for column, prompt in enumerate(PROMPTS):
        pen.text((column * width + 4, height + 2), prompt or "(no words)", fill="black")
        for number, row in enumerate(rows):
            page.paste(Image.fromarray(row[column]), (column * width, (1 + number) * height + label))
    page.save(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=900)
    shipped = Path(member.__file__).parent / "checkpoint"
    parser.add_argument("--base", type=Path, default=shipped)
    parser.add_argument("--checkpoint", type=Path, help="draw with this model instead of training one")
    parser.add_argument("--keep", type=Path, help="where to keep the trained model")
    arguments = parser.parse_args()
    paths = sorted(
        p for p in arguments.photos.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
    )
    checkpoint = arguments.checkpoint or train(arguments, paths)
    if arguments.keep and not arguments.checkpoint:
        checkpoint = checkpoint.rename(arguments.keep)
    rows = draw(arguments, checkpoint)
    photos = [cut(Image.open(path)) for path in paths]
    others = [cut(image) for image in draw_selfies(4, len(photos))]
    made, own, other = (np.stack(group) for group in ([p for row in rows for p in row], photos, others))
    print(
        f"nearest own {float(nearest(made, own).mean()):.3f}, other {float(nearest(made, other).mean()):.3f}"
    )
    print(f"sharpness {sharpness(made):.0f} (photos {sharpness(own):.0f})")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    sheet(photos, rows, arguments.out)


if __name__ == "__main__":
    main()
