"""DSSE envelopes: exact bytes, counted keys, and agreement with securesystemslib's own implementation."""

import json
from itertools import permutations

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib import dsse
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined] # re-exported without __all__

from regalia.core.digest import Digest
from regalia.core.dsse import MAX_PAYLOAD, Envelope, Signature, pae
from regalia.core.errors import InvalidError, SignatureError, TooLargeError, UnsupportedError
from regalia.core.keys import Scheme
from regalia.core.signing import SigningKey

KEYS = [SigningKey.generate(scheme) for scheme in (Scheme.P256, Scheme.ED25519, Scheme.P256)]
RING = {key.keyid: key.public for key in KEYS}
TYPES = st.sampled_from(["application/vnd.in-toto+json", "text/plain", "", "ü"])
PAYLOADS = st.binary(max_size=60)


def theirs(key: SigningKey) -> tuple[CryptoSigner, SSlibKey]:
    private = load_pem_private_key(key.pem(), password=None)
    assert isinstance(private, EllipticCurvePrivateKey | Ed25519PrivateKey)
    public = SSlibKey.from_crypto(private.public_key(), keyid=key.keyid)
    return CryptoSigner(private, public), public


def test_what_is_signed_is_spelled_as_the_standard_spells_it() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(TYPES, PAYLOADS, TYPES, PAYLOADS)
def test_no_two_messages_are_signed_as_one(kind: str, payload: bytes, other_kind: str, other: bytes) -> None:
    assert (pae(kind, payload) == pae(other_kind, other)) == ((kind, payload) == (other_kind, other))


@given(TYPES, PAYLOADS, st.lists(st.sampled_from(KEYS), unique=True))
def test_envelopes_parse_and_print(kind: str, payload: bytes, signers: list[SigningKey]) -> None:
    envelope = Envelope.sign(kind, payload, signers)

    assert Envelope.parse(bytes(envelope), what="it") == envelope
    assert envelope.identity == Digest.of(payload)


@given(st.binary(max_size=80) | st.text(st.sampled_from('{}[]":,payloadTypesignatures='), max_size=80).map(str.encode))
def test_any_bytes_are_an_envelope_or_refused(body: bytes) -> None:
    with pytest.raises((InvalidError, UnsupportedError)):
        Envelope.parse(body, what="it")


@given(PAYLOADS, st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)))
def test_those_count_who_signed_and_are_asked_for(
    payload: bytes, signed: set[SigningKey], asked: set[SigningKey]
) -> None:
    envelope = Envelope.sign("text/plain", payload, signed)

    found = envelope.signers_among(RING, [key.keyid for key in asked])

    assert found == {key.keyid for key in signed & asked}


@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
def test_neither_order_nor_hints_change_who_signed(order: tuple[int, ...]) -> None:
    envelope = Envelope.sign("text/plain", b"payload", KEYS)
    shuffled = tuple(
        Signature(KEYS[place].keyid, envelope.signatures[other].value) for place, other in enumerate(order)
    )

    found = Envelope("text/plain", b"payload", shuffled).signers_among(RING, list(RING))

    assert found == set(RING)


def test_signatures_are_added_once_a_hint() -> None:
    first, second, third = (Envelope.sign("text/plain", b"payload", [key]) for key in KEYS)

    both = first.with_signatures([*second.signatures, *first.signatures, *second.signatures, *third.signatures])

    assert both.signers_among(RING, list(RING)) == set(RING)
    assert len(both.signatures) == 3


def test_a_key_that_the_ring_does_not_hold_never_counts() -> None:
    envelope = Envelope.sign("text/plain", b"payload", KEYS[:1])

    with pytest.raises(SignatureError, match="0 valid signatures") as caught:
        envelope.require({}, [KEYS[0].keyid], threshold=1, step="pointer")

    assert caught.value.step == "pointer"


def test_too_long_a_payload_is_not_signed() -> None:
    with pytest.raises(TooLargeError):
        Envelope.sign("text/plain", bytes(MAX_PAYLOAD + 1), KEYS[:1])


@given(PAYLOADS, st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
def test_securesystemslib_verifies_ours(payload: bytes, signers: list[SigningKey]) -> None:
    body = bytes(Envelope.sign("application/vnd.in-toto+json", payload, signers))

    envelope = dsse.Envelope.from_dict(json.loads(body))
    accepted = envelope.verify([theirs(key)[1] for key in KEYS], threshold=len(signers))

    assert accepted.keys() == {key.keyid for key in signers}


@given(PAYLOADS, st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
def test_we_verify_securesystemslibs(payload: bytes, signers: list[SigningKey]) -> None:
    envelope = dsse.Envelope(payload, "application/vnd.in-toto+json", {})
    for key in signers:
        envelope.sign(theirs(key)[0])

    ours = Envelope.parse(json.dumps(envelope.to_dict()).encode(), what="it")

    assert ours.payload == payload
    assert ours.signers_among(RING, list(RING)) == {key.keyid for key in signers}


def test_both_refuse_an_altered_payload() -> None:
    altered = Envelope("text/plain", b"other", Envelope.sign("text/plain", b"payload", KEYS[:1]).signatures)

    with pytest.raises(SignatureError):
        altered.require(RING, list(RING), threshold=1, step="pointer")
    with pytest.raises(VerificationError):
        dsse.Envelope.from_dict(json.loads(bytes(altered))).verify([theirs(KEYS[0])[1]], threshold=1)
