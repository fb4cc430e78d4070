"""What can be said of a file: whether this instance made it, and whether it is as it was. Asks nobody outside.

A picture is ours where the signature in it holds, its issuer is one of ours and its serial number too: a public issuer
signs for others as well. A signature covers everything but filler inside the manifest; PNG check sums cover that.
"""

import io
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import c2pa  # type: ignore[import-untyped]
from PIL import Image

from portraitist.studio.provenance import png
from portraitist.studio.provenance.credentials import Known

MAX_BYTES: Final = 100 * 2**20
_STARTS: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


class Kind(StrEnum):
    """What a file turned out to be."""

    OURS = "ours"
    ALTERED = "altered"
    FOREIGN = "foreign"
    NONE = "none"
    BROKEN = "broken"
    UNREADABLE = "unreadable"


WORDS: Final = {
    Kind.OURS: "Made by this studio, and exactly as it was made.",
    Kind.ALTERED: "Made by this studio, but altered since.",
    Kind.FOREIGN: "It carries somebody else's signature, not this studio's.",
    Kind.NONE: "It carries no manifest: nothing can be said about where it comes from. "
    "A copy that was saved anew loses it, whoever made it.",
    Kind.BROKEN: "It carries a manifest that has been damaged or changed: nobody can tell any more whose.",
    Kind.UNREADABLE: "It can't be read as a PNG, JPEG or WebP picture.",
}


@dataclass(frozen=True)
class Verdict:
    """What can be said. `signer` is what the certificate calls itself, which proves nothing where it is not ours."""

    kind: Kind
    signer: str | None = None

    @property
    def words(self) -> str:
        """For people."""
        return WORDS[self.kind]


def verify(data: bytes, known: Known) -> Verdict:
    """Look at a file's bytes, of which none is kept."""
    kind = next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)
    if kind is None or len(data) > MAX_BYTES:
        return Verdict(Kind.UNREADABLE)
    try:
        found = _read(data, kind, known)
    except c2pa.C2paError.ManifestNotFound:
        return Verdict(Kind.NONE if _decodes(data) else Kind.UNREADABLE)
    except c2pa.C2paError:
        return Verdict(Kind.BROKEN if _decodes(data) else Kind.UNREADABLE)
    return _judged(found, data, known)


def _read(data: bytes, kind: str, known: Known) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "trust": {"user_anchors": known.issuers} if known.issuers else {},
    }
    with (
        c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
        c2pa.Reader(kind, io.BytesIO(data), context=context) as reader,
    ):
        report: dict[str, Any] = json.loads(reader.json())
    return report


def _judged(report: dict[str, Any], data: bytes, known: Known) -> Verdict:
    results = (report.get("validation_results") or {}).get("activeManifest") or {}
    good = {each["code"] for each in results.get("success", [])}
    bad = {each["code"] for each in results.get("failure", [])}
    active = (report.get("manifests") or {}).get(report.get("active_manifest")) or {}
    signature = active.get("signature_info") or {}
    signer = signature.get("common_name")
    if "claimSignature.validated" not in good:
        return Verdict(Kind.BROKEN)
    serial = str(signature.get("cert_serial_number", ""))
    ours = "signingCredential.trusted" in good and serial in {str(each) for each in known.serials}
    if not ours:
        return Verdict(Kind.FOREIGN, signer)
    damaged = png.is_png(data) and not png.is_whole(data)
    whole = not bad and report.get("validation_state") == "Trusted" and not damaged
    return Verdict(Kind.OURS if whole else Kind.ALTERED, signer)


def _decodes(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
