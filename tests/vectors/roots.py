"""Vectors of trust roots: what a client starts from, what it follows, and each rule broken once."""

import base64

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.vectors.signing import Document, Json, VectorKey, base64_of, changed, envelope, save, sha256, signature, text

ABOUT = (
    "A client starts from `trusted` and follows `chain`, each base64 of an envelope's exact bytes. Where it is good, "
    "it ends at root `version`; else `error` is the code expected. Expiry is not judged here."
)
ROOT_TYPE = "application/vnd.regalia.root.v1+json"
FIELD = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7

OLD = [VectorKey.p256(f"root {number}") for number in (1, 2, 3)]
NEXT = [VectorKey.p256(f"next root {number}") for number in (1, 2, 3)]
RELEASE, CHANNEL = VectorKey.p256("release"), VectorKey.p256("channel")
FRESHNESS, LOG, SPARE = VectorKey.ed25519("freshness"), VectorKey.ed25519("log"), VectorKey.p256("spare")


def delegation(role: str, *keys: VectorKey, **changes: Json) -> Document:
    keyids: list[Json] = [key.keyid for key in keys]
    return {"role": role, "apps": ["*"], "channels": ["*"], "keyids": keyids, "threshold": 1, "epoch": 1, **changes}


def root(version: int = 1, owners: list[VectorKey] = OLD, **changes: Json) -> Document:
    delegations: list[Json] = [
        delegation("release", RELEASE),
        delegation("channel", CHANNEL),
        delegation("freshness", FRESHNESS),
        delegation("log", LOG),
    ]
    keys = [*owners, RELEASE, CHANNEL, FRESHNESS, LOG, SPARE]
    return {
        "trustDomain": "acme-7f3a9c2e",
        "version": version,
        "expires": "2036-03-15T12:00:00Z",
        "keys": {key.keyid: {"scheme": key.scheme, "public": key.pem} for key in keys},
        "roles": {"root": {"keyids": [key.keyid for key in owners], "threshold": 2}},
        "delegations": delegations,
        **changes,
    }


def sealed(document: Document, *signers: VectorKey, payload_type: str = ROOT_TYPE) -> bytes:
    return envelope(text(document), payload_type, signers or OLD[:2])


def vectors() -> list[Document]:
    return [*_starts(), *_keys(), *_thresholds(), *_delegations(), *_fields(), *_walks()]


def start(name: str, body: bytes, error: str | None = "bad_trust_root") -> Document:
    return {"name": name, "trusted": base64_of(body), "chain": [], "version": 1, "error": error}


def broken(name: str, error: str | None = "bad_trust_root", **paths: Json) -> Document:
    return start(
        name, sealed(changed(root(), {path.replace("__", "."): value for path, value in paths.items()})), error
    )


def walk(name: str, *chain: bytes, error: str | None = None, version: int = 2, first: bytes = b"") -> Document:
    steps: list[Json] = [base64_of(step) for step in chain]
    trusted = base64_of(first or sealed(root()))
    return {"name": name, "trusted": trusted, "chain": steps, "version": version, "error": error}


def _starts() -> list[Document]:
    unsigned = "bad_signature"
    return [
        start("two of three", sealed(root()), None),
        start("all three", sealed(root(), *OLD), None),
        start("expired long ago", sealed(root(expires="2001-01-01T00:00:00Z")), None),
        start("a role of a later edition", sealed(root(delegations=[delegation("gardener", SPARE)])), None),
        start("unknown fields", sealed(root(later={"any": 1})), None),
        start("one of three", sealed(root(), OLD[0]), unsigned),
        start("one key twice", sealed(root(), OLD[0], OLD[0]), unsigned),
        start("signed by its delegates", sealed(root(), RELEASE, CHANNEL), unsigned),
        start("signed by keys that it doesn't hold", sealed(root(), *NEXT), unsigned),
        start("no signature", envelope(text(root()), ROOT_TYPE, []), unsigned),
        start("altered after signing", _altered(), unsigned),
        start("payload type of a statement", sealed(root(), payload_type="application/vnd.in-toto+json")),
        start("no envelope", text(root())),
        start("empty", b""),
    ]


def _altered() -> bytes:
    signatures: list[Json] = [signature(key, ROOT_TYPE, text(root())) for key in OLD[:2]]
    return envelope(text(root(trustDomain="evil-7f3a9c2e")), ROOT_TYPE, [], signatures=signatures)


def _keys() -> list[Document]:
    p384 = ec.derive_private_key(7, ec.SECP384R1()).public_key()
    k256 = ec.derive_private_key(7, ec.SECP256K1()).public_key()
    modulus = int("c" + sha256(b"throwaway modulus") * 8, 16) | 1
    rsa_key = rsa.RSAPublicNumbers(65537, modulus).public_key()
    held = root()["keys"]
    assert isinstance(held, dict)
    small = {
        f"small-order ed25519 y={y:#x} sign={sign}": y | sign << 255
        for y in (0, 1, FIELD - 1, FIELD, FIELD + 1, ORDER_8, FIELD - ORDER_8)
        for sign in (0, 1)
    }
    high = {f"ed25519 with y of the field's size + {more}": FIELD + more for more in (2, 3, 18)}
    return [
        start("two spellings of one key's pem", sealed(_with_pem(SPARE, SPARE.pem.replace("\n", "\r\n"))), None),
        *(start(name, sealed(_with_key(_ed25519_spki(encoded)))) for name, encoded in {**small, **high}.items()),
        start("p-384 key", sealed(_with_key(_spki(p384)))),
        start("secp256k1 key", sealed(_with_key(_spki(k256)))),
        start("rsa key", sealed(_with_key(_spki(rsa_key)))),
        start("private key", sealed(_with_pem(SPARE, SPARE.pem.replace("PUBLIC", "PRIVATE")))),
        start("key is no pem", sealed(_with_pem(SPARE, "key"))),
        start("key is another's", sealed(_with_pem(SPARE, RELEASE.pem))),
        start("key under upper-case id", sealed(root(keys={**held, SPARE.keyid.upper(): held[SPARE.keyid]}))),
        start("key under another id", sealed(root(keys={**held, "0" * 64: held[SPARE.keyid]}))),
        start("scheme of another algorithm", sealed(_with_pem(SPARE, SPARE.pem, scheme="ed25519"))),
        start("unknown scheme", sealed(_with_pem(SPARE, SPARE.pem, scheme="rsassa-pss-sha256"))),
        start(
            "129 keys", sealed(root(keys={**held, **{f"{number:064x}": held[SPARE.keyid] for number in range(121)}}))
        ),
        broken("keys are a list", keys=[]),
    ]


def _ed25519_spki(encoded: int) -> bytes:
    return bytes.fromhex("302a300506032b6570032100") + encoded.to_bytes(32, "little")


def _spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _with_key(spki: bytes) -> Document:
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.encodebytes(spki).decode()}-----END PUBLIC KEY-----\n"
    scheme = "ed25519" if len(spki) == 44 else "ecdsa-sha2-nistp256"
    return changed(root(), {f"keys.{sha256(spki)}": {"scheme": scheme, "public": pem}})


def _with_pem(key: VectorKey, pem: str, scheme: str = "ecdsa-sha2-nistp256") -> Document:
    return changed(root(), {f"keys.{key.keyid}": {"scheme": scheme, "public": pem}})


def _thresholds() -> list[Document]:
    return [
        broken("root threshold 0", roles__root__threshold=0),
        broken("root threshold negative", roles__root__threshold=-1),
        broken("root threshold true", roles__root__threshold=True),
        broken("root threshold a text", roles__root__threshold="2"),
        broken("root threshold 2.0", roles__root__threshold=2.0),
        broken("root threshold more than its keys", roles__root__threshold=4),
        broken("root threshold of one key named twice", roles__root__keyids=[OLD[0].keyid, OLD[0].keyid]),
        broken("root names a key that is not held", roles__root__keyids=[OLD[0].keyid, "0" * 64]),
        broken("root names no key", roles__root__keyids=[]),
        broken("no root role", roles={}),
        broken("release threshold 0", delegations__0__threshold=0),
        broken("release threshold true", delegations__0__threshold=True),
        broken("release threshold more than its keys", delegations__0__threshold=2),
        broken("release names a key that is not held", delegations__0__keyids=["0" * 64]),
        broken("release names its key twice", delegations__0__keyids=[RELEASE.keyid] * 2),
        broken("release names 17 keys", delegations__0__keyids=[RELEASE.keyid] * 17),
        broken("release names no key", delegations__0__keyids=[]),
    ]


def _delegations() -> list[Document]:
    patterns = [
        "acme",
        "acme*",
        "*/agent",
        "acme/**",
        "acme/*/x",
        "../x",
        "Acme/*",
        "prompt/*",
        "",
        "*/*",
        "acme/",
        "acme/x\n",
    ]
    specific = delegation("channel", SPARE, apps=["acme/agent"], channels=["prod"], epoch=2)
    wide = delegation("channel", CHANNEL)
    return [
        start("a specific delegation in front", sealed(root(delegations=[specific, wide])), None),
        start("a delegation behind one that covers it", sealed(root(delegations=[wide, specific]))),
        start("one delegation twice", sealed(root(delegations=[wide, wide]))),
        start("a key of two roles", sealed(root(delegations=[wide, delegation("release", CHANNEL)]))),
        start("a root key that signs releases", sealed(root(delegations=[delegation("release", OLD[0])]))),
        start("101 delegations", sealed(root(delegations=[wide] * 101))),
        *(broken(f"pattern {pattern!r}", delegations__0__apps=[pattern]) for pattern in patterns),
        broken("channel with a star", delegations__1__channels=["prod*"]),
        broken("channel in upper case", delegations__1__channels=["Prod"]),
        broken("no pattern", delegations__0__apps=[]),
        broken("no channel", delegations__1__channels=[]),
        broken("epoch 0", delegations__1__epoch=0),
        broken("epoch true", delegations__1__epoch=True),
        broken("delegations are an object", delegations={}),
    ]  # fmt: skip


def _fields() -> list[Document]:
    twice = text(root()).replace(b'"version":1', b'"version":1,"version":1')
    return [
        broken("version 0", version=0),
        broken("version negative", version=-1),
        broken("version true", version=True),
        broken("version a text", version="1"),
        broken("version 2^53", version=2**53),
        broken("no version", version="absent"),
        broken("no trust domain", trustDomain="absent"),
        broken("trust domain in upper case", trustDomain="Acme"),
        broken("trust domain with a path", trustDomain="../acme"),
        broken("no expiry", expires="absent"),
        broken("expiry with an offset", expires="2036-03-15T12:00:00+00:00"),
        broken("expiry with a fraction", expires="2036-03-15T12:00:00.0Z"),
        broken("expiry on no day", expires="2036-02-30T12:00:00Z"),
        broken("expiry a number", expires=2088849600),
        start("version twice", envelope(twice, ROOT_TYPE, OLD[:2])),
        start("array", envelope(b"[]", ROOT_TYPE, OLD[:2])),
    ]


def _walks() -> list[Document]:
    second, shared = sealed(root(2)), sealed(root(2, delegations=[delegation("release", OLD[0])]))
    rotated = sealed(root(2, NEXT), *OLD[:2], *NEXT[:2])
    unsigned = "bad_signature"
    return [
        walk("one step", second),
        walk("two steps", second, sealed(root(3)), version=3),
        walk("the same root again", sealed(root()), version=1),
        walk("the same root signed by others", sealed(root(), *OLD[1:]), version=1),
        walk("an older root is passed over", sealed(root()), first=second),
        walk("all root keys change", rotated),
        walk("all root keys change, and sign the next", rotated, sealed(root(3, NEXT), *NEXT[:2]), version=3),
        walk("signed by the new keys only", sealed(root(2, NEXT), *NEXT[:2]), error=unsigned),
        walk("signed by the old keys only", sealed(root(2, NEXT), *OLD[:2]), error=unsigned),
        walk("one old key and all new ones", sealed(root(2, NEXT), OLD[0], *NEXT), error=unsigned),
        walk("old keys sign after they left", rotated, sealed(root(3, NEXT), *OLD[:2]), error=unsigned),
        walk("a version is missing", sealed(root(3)), error="bad_trust_root"),
        walk("the second before the first", sealed(root(3)), second, error="bad_trust_root"),
        walk("same version, other content", sealed(root(later=1)), error="equivocation"),
        walk("another trust domain", sealed(root(2, trustDomain="evil-7f3a9c2e")), error="bad_trust_root"),
        walk("a broken rule in a signed step", shared, error="bad_trust_root"),
        walk("a step that is no envelope", b"{}", error="bad_trust_root"),
    ]


def make() -> None:
    """Write roots.json."""
    save("roots.json", ABOUT, vectors())
