"""A small archive of weights, made as the trainer makes it: a tar with a whole safetensors file."""

import io
import json
import tarfile


def weights_tar(about: str) -> bytes:
    """One archive; its only tensor spells what it is about."""
    values = about.encode().ljust(64, b"\0")[:64]
    header = json.dumps({"lora": {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]}}).encode()
    tensors = len(header).to_bytes(8, "little") + header + values
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in (("config.yaml", b"steps: 1000\n"), ("lora.safetensors", tensors)):
            entry = tarfile.TarInfo(f"output/flux_train_replicate/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
