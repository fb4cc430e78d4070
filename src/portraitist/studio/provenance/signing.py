"""The stamp: a picture gets its mark, the operator's label if there is one, and last the instance's signature.

Nothing of the network, no time stamp authority, no thumbnail. The manifest says one thing: created by a trained model.
"""

import hashlib
import io
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import c2pa  # type: ignore[import-untyped]
from PIL import Image

from portraitist.studio.errors import StudioError
from portraitist.studio.pictures import Picture
from portraitist.studio.provenance import label, png, small, verifying
from portraitist.studio.provenance.credentials import Credentials, CredentialsInvalid, known, remember
from portraitist.studio.provenance.verifying import Kind

SETTINGS: Final = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
MANIFEST: Final = {
    "claim_generator_info": [{"name": "Portraitist"}],
    "assertions": [
        {
            "label": "c2pa.actions",
            "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": png.GENERATED}]},
        }
    ],
}


class SigningFailed(StudioError):
    """The picture could not be signed: the certificate has ended, or the library failed. Nothing was stored."""

    def __init__(self) -> None:
        super().__init__(
            "signing_failed",
            "The picture could not be signed by this studio.",
            next_step="The operator looks into the worker's log; it is tried again meanwhile.",
        )


class Stamp(Protocol):
    """What every picture passes before it is stored."""

    def stamped(self, picture: Picture) -> Picture:
        """The picture as it is stored. Takes some milliseconds of a core: not for the event loop."""

    def small(self, data: bytes) -> bytes:
        """A small copy of a stored picture, for walls of many. As above."""


@dataclass(frozen=True)
class SigningStamp:
    """Signs with the instance's credentials; safe to use from many threads."""

    credentials: Credentials
    words: str = ""
    """The visible label; none if empty."""

    @classmethod
    def ready(cls, home: Path, credentials: Credentials, words: str = "") -> "SigningStamp":
        """One that has signed a test picture which counts as ours. Raises CredentialsInvalid, OSError."""
        stamp = cls(credentials, words)
        remember(home, credentials)
        try:
            signed = stamp._signed(png.marked(_test_picture()))
        except SigningFailed as exc:
            raise CredentialsInvalid(f"a test picture can't be signed ({exc.__cause__})") from exc
        found = verifying.verify(signed, known(home))
        if found.kind is not Kind.OURS:
            raise CredentialsInvalid(f"what was signed does not count as ours ({found.kind})")
        return stamp

    def stamped(self, picture: Picture) -> Picture:
        """Mark, label, sign: in this order, for a signature covers what was there before. Raises SigningFailed."""
        data = picture.data
        if self.words:
            data = label.labelled(data, self.words)
        elif not png.is_png(data):
            data = _as_png(data)
        signed = self._signed(_marked(data))
        return replace(picture, data=signed, sha256=hashlib.sha256(signed).digest())

    def small(self, data: bytes) -> bytes:
        """A WebP that says the same of itself: marked, then signed. Raises SigningFailed."""
        return self._signed(small.copy_of(data), "image/webp")

    @cached_property
    def _context(self) -> c2pa.Context:
        return c2pa.Context(c2pa.Settings.from_dict(SETTINGS))

    @cached_property
    def _signer(self) -> c2pa.Signer:
        """The key, read once: that takes as long as a signature. The certificate's end is looked at by each."""
        info = c2pa.C2paSignerInfo(
            alg=self.credentials.algorithm,
            sign_cert=self.credentials.chain.encode(),
            private_key=self.credentials.key.encode(),
            ta_url=None,  # an empty string is an error
        )
        return c2pa.Signer.from_info(info)

    def _signed(self, data: bytes, kind: str = "image/png") -> bytes:
        out = io.BytesIO()
        try:
            with c2pa.Builder(MANIFEST, self._context) as builder:
                builder.sign(self._signer, kind, io.BytesIO(data), out)
        except c2pa.C2paError as exc:
            raise SigningFailed from exc
        return out.getvalue()


def _marked(data: bytes) -> bytes:
    """A PNG with bytes behind its end or a check sum that is off can be decoded, but is written anew first."""
    try:
        return png.marked(data)
    except png.NotAPng:
        return png.marked(_as_png(data))


def _as_png(data: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as picture:
        picture.save(out, "PNG", compress_level=4)
    return out.getvalue()


def _test_picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()
