"""Keys: P-256 for people and machines that sign releases, Ed25519 where equal inputs must give equal signatures."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from regalia.core.errors import TrustRootError
from regalia.core.values import frozen

_MAX_PEM = 8192
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
_PEM_WIDTH = 64
# A SubjectPublicKeyInfo in DER, up to the key: RFC 8410, and RFC 5480 with a named curve and either form of point.
_ED25519 = bytes.fromhex("302a300506032b6570032100")
_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_P256_COMPRESSED = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
_FIELD = 2**255 - 19
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# The y coordinates of the eight points of small order, and the two that have a second spelling at or above the
# field's size: with either sign bit, 14 encodings. A signature by such a key proves nothing.
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD - 1, _FIELD, _FIELD + 1, _Y_OF_ORDER_8, _FIELD - _Y_OF_ORDER_8})


class Scheme(StrEnum):
    """How a key signs."""

    P256 = "ecdsa-sha2-nistp256"
    ED25519 = "ed25519"


@frozen
class PublicKey:
    """A public key that can verify; two are equal where their SPKI is."""

    scheme: Scheme
    spki: bytes

    @classmethod
    def parse(cls, pem: str) -> Self:
        """Read a PEM public key.

        Raises:
            TrustRootError: It is not PEM, of another algorithm, or a key whose signatures prove nothing.
        """
        if len(pem) > _MAX_PEM:
            raise TrustRootError(f"a public key has {len(pem)} characters, the cap is {_MAX_PEM}", step="root")
        spki = _spki(pem)
        prefix = next((known for known in (_ED25519, _P256, _P256_COMPRESSED) if spki.startswith(known)), b"")
        key = spki[len(prefix) :]
        if prefix and len(spki) == 2 + prefix[1]:  # DER: the second byte counts those after it
            if prefix == _ED25519:
                _refuse_small_order(key)
                return cls(Scheme.ED25519, spki)
            return cls(Scheme.P256, _P256 + _uncompressed(key))
        raise TrustRootError("a public key is of another kind, expected ECDSA P-256 or Ed25519", step="root")

    @property
    def keyid(self) -> str:
        """The hex SHA-256 of the SPKI."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def pem(self) -> str:
        """The key as PEM text."""
        text = base64.b64encode(self.spki).decode("ascii")
        lines = [text[start : start + _PEM_WIDTH] for start in range(0, len(text), _PEM_WIDTH)]
        return "\n".join([_BEGIN, *lines, _END, ""])

    def is_signer_of(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature over the message is this key's."""
        loaded = self._loaded()
        try:
            if isinstance(loaded, ed25519.Ed25519PublicKey):
                loaded.verify(signature, message)
            else:
                loaded.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def _loaded(self) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey:
        if self.scheme is Scheme.ED25519:
            return ed25519.Ed25519PublicKey.from_public_bytes(self.spki[-32:])
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.spki[-65:])


KeyRing = Mapping[str, PublicKey]


def _spki(pem: str) -> bytes:
    """Read the one block of a PEM public key, as `cryptography` writes it; line ends may be CRLF."""
    lines = pem.split()
    begins, ends = _BEGIN.split(), _END.split()
    if lines[: len(begins)] != begins or lines[-len(ends) :] != ends:
        raise TrustRootError("a public key is not readable PEM", step="root")
    try:
        return base64.b64decode("".join(lines[len(begins) : -len(ends)]), validate=True)
    except (ValueError, binascii.Error) as error:
        raise TrustRootError("a public key is not readable PEM", step="root") from error


def _uncompressed(point: bytes) -> bytes:
    """Spell a point of P-256 as SEC 1's 65 bytes: two spellings are one key."""
    try:
        numbers = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).public_numbers()
    except ValueError as error:
        raise TrustRootError("a public key is no point of P-256", step="root") from error
    return b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def _refuse_small_order(encoded: bytes) -> None:
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if y in _SMALL_ORDER_Y or y >= _FIELD:
        raise TrustRootError("an Ed25519 public key is of small order or not canonical", step="root")
