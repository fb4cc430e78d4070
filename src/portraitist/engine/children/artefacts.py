"""What a training hands out: the tar in the cloud trainer's layout.

`lora.safetensors` holds the member's *complete* weights here (every part, keys prefixed by the part's name),
since a model this small is trained in all weights. Imports safetensors with torch, for bfloat16.
"""

import json
import tarfile
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from portraitist.engine.bars import JOB

WEIGHTS = "trained_model.tar"
PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2")


def write(folder: Path, checkpoint: Path, captions: dict[str, str], config: dict[str, Any]) -> list[str]:
    """Make `folder/trained_model.tar`; returns the names in it, the weights first."""
    output = folder / "output" / JOB
    (output / "captions").mkdir(parents=True)
    _merge(checkpoint, output / "lora.safetensors")
    for name, text in captions.items():
        (output / "captions" / f"{Path(name).stem}.txt").write_text(text, encoding="utf-8")
    # JSON is YAML.
    (output / "config.yaml").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    files = [
        output / "lora.safetensors",
        *sorted(p for p in output.rglob("*") if p.suffix in (".txt", ".yaml")),
    ]
    names = [path.relative_to(folder).as_posix() for path in files]
    with tarfile.open(folder / WEIGHTS, "x") as tar:
        for path, name in zip(files, names, strict=True):
            tar.add(path, name, filter=_anonymous)
    return names


def _merge(checkpoint: Path, target: Path) -> None:
    tensors = {
        f"{part}.{name}": tensor
        for part in PARTS
        for file in sorted((checkpoint / part).glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }
    save_file(tensors, target, metadata={"format": "pt"})


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of the machine in the archive."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
