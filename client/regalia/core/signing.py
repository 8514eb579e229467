"""Private keys: what signs. Loaded by those that sign; who verifies needs `core.keys` alone."""

from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
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
)

from regalia.core.errors import ConfigurationError
from regalia.core.keys import PublicKey, Scheme
from regalia.core.values import frozen


@frozen
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
