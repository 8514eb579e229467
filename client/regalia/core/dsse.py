"""DSSE envelopes: signatures over exact bytes, counted once a distinct key."""

import base64
import binascii
from collections.abc import Collection, Iterable
from typing import Self

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError, SignatureError, TooLargeError, UnsupportedError
from regalia.core.fields import Fields
from regalia.core.keys import KeyRing
from regalia.core.strict_json import parse_object, write
from regalia.core.values import frozen

TYPE_CHECKING = False  # what type checkers read as true: who verifies loads no private keys

if TYPE_CHECKING:
    from regalia.core.signing import SigningKey

MAX_PAYLOAD = 64 * 1024
MAX_ENVELOPE = 96 * 1024
MAX_SIGNATURES = 16
MAX_VERIFICATIONS = 32
MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"


@frozen
class Signature:
    """One signature; the key id is a hint and proves nothing."""

    keyid: str
    value: bytes


@frozen
class Envelope:
    """A payload, its type, and signatures over both."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, body: bytes, *, what: str) -> Self:
        """Read an envelope; the inverse of `bytes`. Nothing is verified.

        Raises:
            TooLargeError: A cap is exceeded.
            DocumentError: It is no envelope.
            UnsupportedError: It is wrapped as a Sigstore bundle.
        """
        fields = Fields(parse_object(body, what=what, max_bytes=MAX_ENVELOPE), what)
        if fields.has("dsseEnvelope"):
            raise UnsupportedError(
                f"{what} is a Sigstore bundle, which this version does not read", hint="send the bare DSSE envelope"
            )
        payload = _decode(fields.text("payload", max_characters=MAX_ENVELOPE), what=f"the payload of {what}")
        if len(payload) > MAX_PAYLOAD:
            raise TooLargeError(f"the payload of {what} has {len(payload)} bytes, the cap is {MAX_PAYLOAD}")
        signatures = tuple(
            Signature(
                signature.optional("keyid", signature.text) or "",
                _decode(signature.text("sig", max_characters=2048), what=f"a signature of {what}"),
            )
            for signature in fields.children("signatures", maximum=MAX_SIGNATURES)
        )
        return cls(fields.text("payloadType", max_characters=256), payload, signatures)

    @classmethod
    def sign(cls, payload_type: str, payload: bytes, signers: "Iterable[SigningKey]") -> Self:
        """Sign a payload with each key."""
        if len(payload) > MAX_PAYLOAD:
            raise TooLargeError(f"the payload to sign has {len(payload)} bytes, the cap is {MAX_PAYLOAD}")
        message = pae(payload_type, payload)
        return cls(payload_type, payload, tuple(Signature(key.keyid, key.sign(message)) for key in signers))

    def with_signatures(self, more: Iterable[Signature]) -> Self:
        """Give the envelope with further signatures, each key hint once."""
        known = {signature.keyid for signature in self.signatures}
        added = {signature.keyid: signature for signature in more if signature.keyid not in known}
        return type(self)(self.payload_type, self.payload, (*self.signatures, *added.values()))

    @property
    def identity(self) -> Digest:
        """The digest of the payload: what the statement is, whoever signed it."""
        return Digest.of(self.payload)

    def check_type(self, expected: str, *, what: str) -> None:
        """Refuse a payload of another type."""
        if self.payload_type != expected:
            raise DocumentError(f"{what} has the payload type {self.payload_type[:120]!r}, expected {expected!r}")

    def signers_among(self, keys: KeyRing, keyids: Collection[str]) -> frozenset[str]:
        """Find which of the keys signed; hinted keys are tried first, and at most 32 verifications are made."""
        message = pae(self.payload_type, self.payload)
        candidates = [keyid for keyid in keyids if keyid in keys]
        pairs = [(signature, keyid) for signature in self.signatures for keyid in candidates]
        pairs.sort(key=lambda pair: pair[0].keyid != pair[1])
        found, budget = set[str](), MAX_VERIFICATIONS
        for signature, keyid in pairs:
            if keyid in found or budget == 0:
                continue
            budget -= 1
            if keys[keyid].is_signer_of(message, signature.value):
                found.add(keyid)
        return frozenset(found)

    def require(self, keys: KeyRing, keyids: Collection[str], *, threshold: int, step: str) -> None:
        """Refuse an envelope with fewer than `threshold` distinct signers among these keys.

        Raises:
            SignatureError: It is short of signatures; `step` names what it should have been.
        """
        found = self.signers_among(keys, keyids)
        if len(found) < threshold:
            raise SignatureError(
                f"the {step} has {len(found)} valid signatures of the right keys, expected {threshold}",
                hint="it was altered, or signed by a key that the trust root does not allow here",
                step=step,
            )

    def __bytes__(self) -> bytes:
        """Write the envelope."""
        return write(
            {
                "payload": base64.b64encode(self.payload).decode("ascii"),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": signature.keyid, "sig": base64.b64encode(signature.value).decode("ascii")}
                    for signature in self.signatures
                ],
            }
        )


def pae(payload_type: str, payload: bytes) -> bytes:
    """Encode what is signed, as DSSE v1's pre-authentication encoding."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _decode(text: str, *, what: str) -> bytes:
    """Decode base64 of one spelling: a second spelling of the same bytes would be a twin."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise DocumentError(f"{what} is not base64") from error
    if base64.b64encode(decoded).decode("ascii") != text:
        raise DocumentError(f"{what} is not canonical base64")
    return decoded
