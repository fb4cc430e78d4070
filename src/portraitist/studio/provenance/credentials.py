"""The instance's signing certificate and key: made once and kept in the home's secrets, or the operator's own.

`HOME/secrets/provenance/` holds `signing.pem` (key and chain, mode 0600) and, in `known/`, the chain of every
certificate that has signed here, without keys: so pictures stay ours after the certificate has been changed. Nothing
of it goes into the database or a log.
"""

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FOLDER: Final = Path("secrets") / "provenance"
SIGNING: Final = "signing.pem"
KNOWN: Final = "known"
NEVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280's date for "no end": there is no time stamp of others, so an end would make old pictures invalid."""
CLOCKS_DIFFER: Final = timedelta(days=1)


class CredentialsInvalid(Exception):
    """The certificate or the key can't be used; says why, never shows either."""


@dataclass(frozen=True)
class Credentials:
    """What pictures are signed with: the chain as PEM, leaf first, and the leaf's key as PEM."""

    chain: str
    key: str

    @property
    def algorithm(self) -> str:
        """C2PA's name of the signature. Raises CredentialsInvalid for a key of another kind."""
        try:
            key = serialization.load_pem_private_key(self.key.encode(), None)
        except (ValueError, TypeError) as exc:
            raise CredentialsInvalid("the key is no unencrypted private key in PEM") from exc
        curves = {"secp256r1": "es256", "secp384r1": "es384"}
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in curves:
            raise CredentialsInvalid("the key must be one of the curve P-256 or P-384")
        return curves[key.curve.name]


@dataclass(frozen=True)
class Known:
    """The certificates that count as this instance's: who issued them (PEM), and their serial numbers."""

    issuers: str
    serials: frozenset[int]


def kept_or_made(home: Path) -> Credentials:
    """The instance's own credentials, made when first asked for. Raises OSError, CredentialsInvalid."""
    file = _folder(home / FOLDER) / SIGNING
    with contextlib.suppress(FileNotFoundError):
        return _parted(file.read_text())
    made = _made(datetime.now(UTC))
    handle, unfinished = tempfile.mkstemp(prefix=".signing-", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w") as out:
            out.write(made.key + made.chain)
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):  # another process was faster: its key counts
            os.link(unfinished, file)
    finally:
        Path(unfinished).unlink()
    return _parted(file.read_text())


def remember(home: Path, credentials: Credentials) -> None:
    """Have these count as the instance's from now on. Raises CredentialsInvalid for what is no chain."""
    _of_chain(credentials.chain)
    name = hashlib.sha256(credentials.chain.encode()).hexdigest()[:32]
    file = _folder(home / FOLDER / KNOWN) / f"{name}.pem"
    if file.exists():
        return
    unfinished = file.with_suffix(f".{secrets.token_hex(4)}")
    unfinished.write_text(credentials.chain)
    unfinished.replace(file)


def known(home: Path) -> Known:
    """Every certificate that has signed here; none where nothing was ever signed."""
    issuers: list[str] = []
    serials: set[int] = set()
    for file in sorted((home / FOLDER / KNOWN).glob("*.pem")):
        leaf, *above = _of_chain(file.read_text())
        serials.add(leaf.serial_number)
        issuers += [each.public_bytes(Encoding.PEM).decode() for each in above]
    return Known("".join(issuers), frozenset(serials))


def _folder(folder: Path) -> Path:
    """Made with those above it, for this user's eyes only."""
    for each in (*reversed(folder.parents), folder):
        each.mkdir(exist_ok=True, mode=0o700)
    return folder


def _of_chain(chain: str) -> list[x509.Certificate]:
    """Leaf first, then whoever issued it; raises CredentialsInvalid."""
    try:
        certificates = x509.load_pem_x509_certificates(chain.encode())
    except ValueError as exc:
        raise CredentialsInvalid("the certificates are not PEM") from exc
    if len(certificates) < 2:
        raise CredentialsInvalid("the chain must have the certificate and, behind it, its issuer's")
    return certificates


def _parted(text: str) -> Credentials:
    begin = text.find("-----BEGIN CERTIFICATE-----")
    if begin <= 0:
        raise CredentialsInvalid(f"{SIGNING} is damaged; put it aside to have another made")
    return Credentials(text[begin:], text[:begin])


def _made(now: datetime) -> Credentials:
    """An issuer whose key is forgotten at once, and the one certificate that it issues."""
    name = secrets.token_hex(4)  # random: nothing of the host or its owner
    issuer_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer_name, own_name = _name(f"Portraitist issuer {name}"), _name(f"Portraitist instance {name}")
    issuer = _begun(issuer_name, issuer_name, issuer_key.public_key(), now)
    for extension, critical in _of_issuers(issuer_key.public_key()):
        issuer = issuer.add_extension(extension, critical)
    leaf = _begun(own_name, issuer_name, key.public_key(), now)
    for extension, critical in _of_leaves(key.public_key(), issuer_key.public_key()):
        leaf = leaf.add_extension(extension, critical)
    signed = (leaf.sign(issuer_key, hashes.SHA256()), issuer.sign(issuer_key, hashes.SHA256()))
    chain = "".join(each.public_bytes(Encoding.PEM).decode() for each in signed)
    return Credentials(chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _name(common: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Portraitist")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - CLOCKS_DIFFER).not_valid_after(NEVER)


def _usage(*, signs_pictures: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs_pictures,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signs_pictures,
        crl_sign=not signs_pictures,
        encipher_only=False,
        decipher_only=False,
    )


def _of_issuers(key: ec.EllipticCurvePublicKey) -> Iterator[tuple[x509.ExtensionType, bool]]:
    yield x509.BasicConstraints(ca=True, path_length=0), True
    yield _usage(signs_pictures=False), True
    yield x509.SubjectKeyIdentifier.from_public_key(key), False


def _of_leaves(
    key: ec.EllipticCurvePublicKey, issuer: ec.EllipticCurvePublicKey
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """As C2PA's certificate profile asks of whoever signs."""
    yield x509.BasicConstraints(ca=False, path_length=None), True
    yield _usage(signs_pictures=True), True
    yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False
    yield x509.SubjectKeyIdentifier.from_public_key(key), False
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), False
