"""Whether a file is a whole archive of trained weights: a plain tar with a complete safetensors in it. Pure."""

import io
import json
import tarfile

LONGEST_HEADER = 16 * 2**20


class NotWeights(Exception):
    """The bytes are no whole archive of weights."""


def check(data: bytes) -> None:
    """Read every entry to its end. Raises NotWeights for anything cut, compressed, or without weights."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            names = [entry.name for entry in tar if entry.isfile() and _whole(tar, entry)]
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as exc:
        raise NotWeights(f"the archive can't be read: {exc}") from exc
    if not any(name.endswith(".safetensors") for name in names):
        raise NotWeights("the archive holds no weights")


def _whole(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bool:
    content = tar.extractfile(entry)
    read = content.read() if content is not None else b""
    if len(read) != entry.size:
        raise NotWeights(f"{entry.name[:100]} is cut off")
    if entry.name.endswith(".safetensors"):
        _check_tensors(read)
    return True


def _check_tensors(data: bytes) -> None:
    """A safetensors file says in its header where its last tensor ends; that must be its size."""
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(LONGEST_HEADER, len(data) - 8):
        raise NotWeights("the weights have no header")
    header = json.loads(data[8 : 8 + length])
    if not isinstance(header, dict):
        raise NotWeights("the weights have no header")
    ends = [
        value["data_offsets"][1]
        for name, value in header.items()
        if name != "__metadata__" and isinstance(value, dict) and len(value.get("data_offsets", [])) == 2
    ]
    if not ends or 8 + length + max(ends) != len(data):
        raise NotWeights("the weights are cut off")
