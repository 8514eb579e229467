"""Keys: P-256 for people and machines that sign releases, Ed25519 where equal inputs must give equal signatures."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from regalia.core.errors import ConfigurationError, TrustRootError

_MAX_PEM = 8192
_FIELD = 2**255 - 19
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# The y coordinates of the eight points of small order, and the two that have a second spelling at or above the
# field's size: with either sign bit, 14 encodings. A signature by such a key proves nothing.
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD - 1, _FIELD, _FIELD + 1, _Y_OF_ORDER_8, _FIELD - _Y_OF_ORDER_8})


class Scheme(StrEnum):
    """How a key signs."""

    P256 = "ecdsa-sha2-nistp256"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
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
        try:
            loaded = load_pem_public_key(pem.encode("utf-8"))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise TrustRootError("a public key is not readable PEM", step="root") from error
        if isinstance(loaded, ed25519.Ed25519PublicKey):
            _refuse_small_order(loaded.public_bytes_raw())
            return cls(Scheme.ED25519, _spki(loaded))
        if isinstance(loaded, ec.EllipticCurvePublicKey) and isinstance(loaded.curve, ec.SECP256R1):
            return cls(Scheme.P256, _spki(loaded))
        raise TrustRootError(f"a public key is {type(loaded).__name__}, expected ECDSA P-256 or Ed25519", step="root")

    @property
    def keyid(self) -> str:
        """The hex SHA-256 of the SPKI."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def pem(self) -> str:
        """The key as PEM text."""
        return self._loaded().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

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
        # RFC 5480: a P-256 SPKI ends with the uncompressed point of 65 bytes.
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.spki[-65:])


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; its repr shows the public half's id only."""

    _private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    public: PublicKey

    @classmethod
    def generate(cls, scheme: Scheme) -> Self:
        """Make a key from the system's randomness."""
        if scheme is Scheme.ED25519:
            return cls._of(ed25519.Ed25519PrivateKey.generate())
        return cls._of(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def parse(cls, pem: bytes, *, passphrase: bytes | None = None) -> Self:
        """Read a PEM private key.

        Raises:
            ConfigurationError: It is not PEM, encrypted under another passphrase, or of another algorithm.
        """
        try:
            loaded = load_pem_private_key(pem, password=passphrase)
        except TypeError as error:  # a passphrase missing, or given where none is needed
            hint = "set REGALIA_KEY_PASSPHRASE" if passphrase is None else "leave the passphrase out"
            raise ConfigurationError(f"a private key does not open: {error}", hint=hint) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigurationError("a private key is not readable PEM, or has another passphrase") from error
        if isinstance(loaded, ed25519.Ed25519PrivateKey):
            return cls._of(loaded)
        if isinstance(loaded, ec.EllipticCurvePrivateKey) and isinstance(loaded.curve, ec.SECP256R1):
            return cls._of(loaded)
        raise ConfigurationError(f"a private key is {type(loaded).__name__}, expected ECDSA P-256 or Ed25519")

    @classmethod
    def _of(cls, private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> Self:
        pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return cls(private, PublicKey.parse(pem.decode("ascii")))

    @property
    def keyid(self) -> str:
        """The public half's id."""
        return self.public.keyid

    def sign(self, message: bytes) -> bytes:
        """Sign; Ed25519 gives equal bytes each time, ECDSA (DER) does not."""
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(message)
        return self._private.sign(message, ec.ECDSA(hashes.SHA256()))

    def pem(self, *, passphrase: bytes | None = None) -> bytes:
        """Give the private key as PKCS #8 PEM, encrypted where a passphrase is given."""
        encryption: KeySerializationEncryption = (
            NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        )
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def __repr__(self) -> str:
        """Show no secret."""
        return f"SigningKey({self.public.scheme}, {self.keyid[:12]})"


KeyRing = Mapping[str, PublicKey]


def _spki(key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _refuse_small_order(encoded: bytes) -> None:
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if y in _SMALL_ORDER_Y or y >= _FIELD:
        raise TrustRootError("an Ed25519 public key is of small order or not canonical", step="root")
