"""What the stamp costs a picture before it is stored: milliseconds of a core, p50 and p99, and bytes.

python bench/signing.py --rounds 200
"""

import argparse
import io
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image

from portraitist.studio import pictures
from portraitist.studio.provenance import credentials
from portraitist.studio.provenance.signing import SigningStamp

SIZES = ((192, 256), (896, 1152))


def main() -> None:
    """Print a line for each size, without and with the visible label."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for words in ("", "Made with AI"):
            stamp = SigningStamp.ready(home, credentials.kept_or_made(home), words)
            for size in SIZES:
                print(measured(stamp, size, rounds))


def measured(stamp: SigningStamp, size: tuple[int, int], rounds: int) -> str:
    """One line: the size, the label, the time, what it adds."""
    out = io.BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(out, "PNG")
    picture, took, added = pictures.read(out.getvalue()), [], 0
    for _ in range(rounds):
        began = time.process_time()
        added = len(stamp.stamped(picture).data) - len(picture.data)
        took.append(1000 * (time.process_time() - began))
    cuts = statistics.quantiles(took, n=100)
    label = "labelled, " if stamp.words else ""
    return f"{size[0]}x{size[1]} {label}p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, {added:+} bytes"


if __name__ == "__main__":
    main()
