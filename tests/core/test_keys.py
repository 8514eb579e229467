"""Keys: P-256 and Ed25519 alone, and none whose signatures prove nothing."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.errors import ConfigurationError, TrustRootError
from regalia.core.keys import PublicKey, Scheme
from regalia.core.signing import SigningKey

FIELD = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER = [
    y | sign << 255 for y in (0, 1, FIELD - 1, FIELD, FIELD + 1, ORDER_8, FIELD - ORDER_8) for sign in (0, 1)
]
P256, ED25519 = SigningKey.generate(Scheme.P256), SigningKey.generate(Scheme.ED25519)
KEYS = pytest.mark.parametrize("key", [P256, ED25519], ids=["p256", "ed25519"])


def pem_of(spki: bytes) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(spki).decode()}\n-----END PUBLIC KEY-----\n"


def ed25519_pem(encoded: int) -> str:
    return pem_of(bytes.fromhex("302a300506032b6570032100") + encoded.to_bytes(32, "little"))


@KEYS
def test_a_public_key_reads_back_from_its_pem(key: SigningKey) -> None:
    assert PublicKey.parse(key.public.pem) == key.public


@KEYS
@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_private_key_reads_back_from_its_pem(key: SigningKey, passphrase: bytes | None) -> None:
    again = SigningKey.parse(key.pem(passphrase=passphrase), passphrase=passphrase)

    assert again.public == key.public


@KEYS
def test_a_key_signs_for_itself_and_for_no_other(key: SigningKey) -> None:
    other = SigningKey.generate(key.public.scheme)

    signature = key.sign(b"message")

    assert key.public.is_signer_of(b"message", signature)
    assert not key.public.is_signer_of(b"massage", signature)
    assert not other.public.is_signer_of(b"message", signature)


@given(st.sampled_from([P256, ED25519]), st.binary(max_size=80))
def test_any_bytes_as_a_signature_are_just_wrong(key: SigningKey, signature: bytes) -> None:
    assert not key.public.is_signer_of(b"message", signature)


@KEYS
def test_every_flipped_bit_breaks_a_signature(key: SigningKey) -> None:
    signature = key.sign(b"message")

    flipped = (int.from_bytes(signature, "big") ^ 1 << bit for bit in range(len(signature) * 8))

    assert not any(key.public.is_signer_of(b"message", twin.to_bytes(len(signature), "big")) for twin in flipped)


def test_ed25519_gives_equal_bytes_each_time() -> None:
    assert ED25519.sign(b"message") == ED25519.sign(b"message")


def test_there_are_14_encodings_of_small_order() -> None:
    assert len(set(SMALL_ORDER)) == 14


@pytest.mark.parametrize("encoded", SMALL_ORDER, ids=hex)
def test_small_order_is_refused(encoded: int) -> None:
    with pytest.raises(TrustRootError, match="small order"):
        PublicKey.parse(ed25519_pem(encoded))


@given(st.integers(FIELD, 2**255 - 1), st.booleans())
def test_a_coordinate_beyond_the_field_is_refused(y: int, sign: bool) -> None:  # noqa: FBT001 # drawn by hypothesis
    with pytest.raises(TrustRootError, match="not canonical"):
        PublicKey.parse(ed25519_pem(y | sign << 255))


def test_a_key_of_small_order_would_sign_anything() -> None:
    neutral = ed25519.Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))

    neutral.verify((1).to_bytes(32, "little") + bytes(32), b"whatever")


FOREIGN: dict[str, PrivateKeyTypes] = {
    "p-384": ec.generate_private_key(ec.SECP384R1()),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "rsa": rsa.generate_private_key(65537, 2048),
    "ed448": ed448.Ed448PrivateKey.generate(),
    "x25519": x25519.X25519PrivateKey.generate(),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_another_algorithm_is_refused(name: str) -> None:
    public = FOREIGN[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private = FOREIGN[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    with pytest.raises(TrustRootError, match="expected ECDSA P-256 or Ed25519"):
        PublicKey.parse(public.decode())
    with pytest.raises(ConfigurationError, match="expected ECDSA P-256 or Ed25519"):
        SigningKey.parse(private)


@pytest.mark.parametrize(
    "pem",
    ["", "key", pem_of(b""), pem_of(b"\x30\x00"), P256.public.pem[:-60], "x" * 9000, P256.pem().decode(), "\ud800"],
    ids=["empty", "text", "no key", "empty sequence", "cut", "too long", "private", "lone surrogate"],
)
def test_what_is_no_public_key_is_refused(pem: str) -> None:
    with pytest.raises(TrustRootError):
        PublicKey.parse(pem)


def test_a_point_off_the_curve_is_refused() -> None:
    spki = bytearray(P256.public.spki)
    spki[-1] ^= 1

    with pytest.raises(TrustRootError):
        PublicKey.parse(pem_of(bytes(spki)))


def test_two_spellings_of_one_point_are_one_key() -> None:
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), P256.public.spki[-65:])
    compressed = point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    spki = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + compressed

    assert PublicKey.parse(pem_of(spki)) == P256.public


@pytest.mark.parametrize(
    ("pem", "passphrase", "part"),
    [
        (P256.pem(passphrase=b"right"), b"wrong", "passphrase"),
        (P256.pem(passphrase=b"right"), None, "does not open"),
        (P256.pem(), b"needless", "does not open"),
        (b"", None, "not readable"),
        (b"key", None, "not readable"),
        (P256.public.pem.encode(), None, "not readable"),
    ],
    ids=["wrong passphrase", "no passphrase", "needless passphrase", "empty", "text", "public"],
)
def test_a_private_key_that_does_not_open_says_why(pem: bytes, passphrase: bytes | None, part: str) -> None:
    with pytest.raises(ConfigurationError, match=part):
        SigningKey.parse(pem, passphrase=passphrase)


@KEYS
def test_a_private_key_does_not_show_itself(key: SigningKey) -> None:
    assert repr(key) == str(key) == f"SigningKey({key.public.scheme}, {key.keyid[:12]})"
