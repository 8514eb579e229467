"""What the vectors' scripts share: throwaway keys, and the formats written a second time, without our own core."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Document: TypeAlias = dict[str, Json]

STATEMENT = "application/vnd.in-toto+json"
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class VectorKey:
    """A key made from its name, so that whoever runs the scripts again gets the same files."""

    name: str
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    @classmethod
    def p256(cls, name: str) -> "VectorKey":
        return cls(name, ec.derive_private_key(int.from_bytes(_seed(name)[:31], "big"), ec.SECP256R1()))

    @classmethod
    def ed25519(cls, name: str) -> "VectorKey":
        return cls(name, ed25519.Ed25519PrivateKey.from_private_bytes(_seed(name)))

    @property
    def scheme(self) -> str:
        return "ed25519" if isinstance(self.private, ed25519.Ed25519PrivateKey) else "ecdsa-sha2-nistp256"

    @property
    def pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def keyid(self) -> str:
        spki = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).hexdigest()

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))  # RFC 6979

    def described(self) -> Document:
        return {"keyid": self.keyid, "scheme": self.scheme, "public": self.pem}


def _seed(name: str) -> bytes:
    return hashlib.sha256(f"throwaway vector key {name}".encode()).digest()


def text(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pae(payload_type: str, payload: bytes) -> bytes:
    return b" ".join(
        [b"DSSEv1", str(len(payload_type)).encode(), payload_type.encode(), str(len(payload)).encode(), payload]
    )


def signature(key: VectorKey, payload_type: str, payload: bytes, *, keyid: str | None = None) -> Document:
    value = key.sign(pae(payload_type, payload))
    return {"keyid": key.keyid if keyid is None else keyid, "sig": base64_of(value)}


def envelope(payload: bytes, payload_type: str, keys: Iterable[VectorKey], /, **changes: Json) -> bytes:
    written: Document = {
        "payload": base64_of(payload),
        "payloadType": payload_type,
        "signatures": [signature(key, payload_type, payload) for key in keys],
    }
    return text({name: value for name, value in {**written, **changes}.items() if value != "absent"})


def changed(document: Document, changes: Mapping[str, Json]) -> Document:
    """Set the fields at dotted paths in a copy; "absent" takes one away."""
    copy: Document = json.loads(json.dumps(document))
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Json = copy
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else _child(place, parent)
        if isinstance(place, list):
            place[int(last)] = value
        elif isinstance(place, dict) and value == "absent":
            del place[last]
        elif isinstance(place, dict):
            place[last] = value
    return copy


def _child(place: Json, name: str) -> Json:
    return place[name] if isinstance(place, dict) else None


def save(name: str, about: str, vectors: list[Document], **shared: Json) -> None:
    names = [vector["name"] for vector in vectors]
    assert len(set(map(str, names))) == len(names), "a vector's name stands twice"
    document = {"about": about, **shared, "vectors": vectors}
    (FOLDER / name).write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
