"""Vectors of DSSE envelopes: what verifies, and what is broken in one way."""

import base64

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests.vectors.signing import STATEMENT, Document, Json, VectorKey, base64_of, envelope, save, signature, text

ABOUT = (
    "An envelope is good where it parses under the caps and at least `threshold` of `trusted` keys signed it. "
    "`bytes` is base64 of its exact bytes; `error` is the code expected, null where it is good."
)
PAYLOAD = text({"said": "exactly this", "why": "to be signed"})
SIGSTORE: Document = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {}}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493

A, B, ED = VectorKey.p256("a"), VectorKey.p256("b"), VectorKey.ed25519("ed")
CROWD = [VectorKey.ed25519(f"crowd {number}") for number in range(17)]


def vectors() -> list[Document]:
    return [*_good(), *_short_of_signatures(), *_twins(), *_malformed(), *_over_caps()]


def vector(
    name: str, body: bytes, error: str | None, *, trusted: list[VectorKey] | None = None, threshold: int = 1
) -> Document:
    names: list[Json] = [key.name for key in trusted or [A]]
    return {"name": name, "bytes": base64_of(body), "trusted": names, "threshold": threshold, "error": error}


def signed(*signatures: Document, over: bytes = PAYLOAD, **changes: Json) -> bytes:
    fields: Document = {"signatures": list(signatures), **changes}
    return envelope(over, STATEMENT, [], **fields)


def by(key: VectorKey, *, keyid: str | None = None, over: bytes = PAYLOAD) -> Document:
    return signature(key, STATEMENT, over, keyid=keyid)


def respelled(body: bytes, old: str, new: str) -> bytes:
    assert body.count(old.encode()) == 1
    return body.replace(old.encode(), new.encode())


def _good() -> list[Document]:
    without_id: Document = {"sig": by(A)["sig"]}
    crowd = [by(key) for key in CROWD[:16]]
    return [
        vector("p256", signed(by(A)), None),
        vector("ed25519", signed(by(ED)), None, trusted=[ED]),
        vector("two keys of three", signed(by(A), by(ED)), None, trusted=[A, B, ED], threshold=2),
        vector("no key id", signed(without_id), None),
        vector("empty key id", signed(by(A, keyid="")), None),
        vector("id of another key: an id is a hint", signed(by(A, keyid=B.keyid)), None, trusted=[A, B]),
        vector("a signature of a stranger beside it", signed(by(B), by(A)), None),
        vector("unknown fields", signed(by(A), later={"any": [1]}), None),
        vector("sixteen signatures", signed(*crowd), None, trusted=CROWD[:16], threshold=16),
        vector("empty payload", signed(by(A, over=b""), over=b""), None),
        vector("payload of 64 KiB", signed(by(A, over=b"x" * 65536), over=b"x" * 65536), None),
    ]


def _short_of_signatures() -> list[Document]:
    code = "bad_signature"
    raw: Document = {"keyid": A.keyid, "sig": base64_of(A.sign(PAYLOAD))}
    nobody = [by(key, keyid="") for key in CROWD[:16]]
    return [
        vector("no signature", signed(), code),
        vector("altered payload", signed(by(A), over=PAYLOAD.replace(b"this", b"that")), code),
        vector("other payload type", signed(by(A), payloadType="application/json"), code),
        vector("payload type moved into the payload", signed(by(A), payloadType="application/vnd.in-toto+jso"), code),
        vector("signed by a stranger", signed(by(B)), code),
        vector("signed by a stranger under a trusted id", signed(by(B, keyid=A.keyid)), code),
        vector("payload signed without its type", signed(raw), code),
        vector("empty signature", signed({"keyid": A.keyid, "sig": ""}), code),
        vector("cut signature", signed({"keyid": A.keyid, "sig": base64_of(A.sign(PAYLOAD)[:-1])}), code),
        vector("one of two keys", signed(by(A)), code, trusted=[A, B], threshold=2),
        vector("one key twice", signed(by(A), by(A)), code, trusted=[A, B], threshold=2),
        vector("one key under two ids", signed(by(A), by(A, keyid=B.keyid)), code, trusted=[A, B], threshold=2),
        vector("one key with and without id", signed(by(ED), by(ED, keyid="")), code, trusted=[A, ED], threshold=2),
        vector("more than 32 verifications", signed(*nobody), code, trusted=CROWD[:16][::-1], threshold=16),
    ]


def _twins() -> list[Document]:
    value = base64.b64decode(str(by(A)["sig"]))
    r, s = decode_dss_signature(value)
    twin: Document = {"keyid": A.keyid, "sig": base64_of(encode_dss_signature(r, P256_ORDER - s))}
    long_der: Document = {"keyid": A.keyid, "sig": base64_of(value[:1] + b"\x81" + value[1:])}
    trailing: Document = {"keyid": A.keyid, "sig": base64_of(value + b"\x00")}
    edwards = base64.b64decode(str(by(ED)["sig"]))
    scalar = int.from_bytes(edwards[32:], "little") + ED25519_ORDER
    malleable: Document = {"keyid": ED.keyid, "sig": base64_of(edwards[:32] + scalar.to_bytes(32, "little"))}
    return [
        vector("malleable twin of one key", signed(by(A), twin), "bad_signature", trusted=[A, B], threshold=2),
        vector("ecdsa signature with a long length", signed(long_der), "bad_signature"),
        vector("ecdsa signature with a byte behind it", signed(trailing), "bad_signature"),
        vector("ed25519 scalar beyond the order", signed(malleable), "bad_signature", trusted=[ED]),
    ]


def _malformed() -> list[Document]:
    code, good = "invalid_document", signed(by(A))
    short, odd = PAYLOAD[:-1], b"\xfb\xff\xfe"
    padded, spelled = signed(by(A, over=short), over=short), base64_of(short)
    loose = spelled.rstrip("=")[:-1] + chr(ord(spelled.rstrip("=")[-1]) + 1) + "=" * spelled.count("=")
    assert base64.b64decode(loose) == short, "bits that no byte holds need padding"
    nested: Json = []
    for _ in range(40):
        nested = [nested]
    return [
        vector("base64 with loose bits", respelled(padded, spelled, loose), code),
        vector("base64 without padding", respelled(padded, spelled, spelled.rstrip("=")), code),
        vector("base64 with a space", respelled(padded, spelled, spelled + " "), code),
        vector("base64 in lines", respelled(padded, spelled, spelled[:40] + "\\n" + spelled[40:]), code),
        vector("base64 for urls", respelled(signed(by(A, over=odd), over=odd), "+//+", "-__-"), code),
        vector("signature is no base64", signed({"keyid": A.keyid, "sig": "!!!!"}), code),
        vector("no payload", signed(by(A), payload="absent"), code),
        vector("payload is null", signed(by(A), payload=None), code),
        vector("payload is a number", signed(by(A), payload=1), code),
        vector("no payload type", signed(by(A), payloadType="absent"), code),
        vector("no signatures field", signed(by(A), signatures="absent"), code),
        vector("signatures are an object", signed(signatures={"0": by(A)}), code),
        vector("signature is a text", signed(signatures=["sig"]), code),
        vector("signature without sig", signed({"keyid": A.keyid}), code),
        vector("key id is null", signed({**by(A), "keyid": None}), code),
        vector("key id is a number", signed({**by(A), "keyid": 7}), code),
        vector("payload twice", good.replace(b'{"payload":', b'{"payload":"","payload":', 1), code),
        vector("byte-order mark", b"\xef\xbb\xbf" + good, code),
        vector("utf-16", good.decode().encode("utf-16"), code),
        vector("not utf-8", good.replace(b'"payload"', b'"payload\xff"', 1), code),
        vector("lone surrogate", signed(by(A), later="twin").replace(b"twin", b"\\ud800"), code),
        vector("u+0000", signed(by(A), later="zero").replace(b"zero", b"\\u0000"), code),
        vector("nan", signed(by(A), later="number").replace(b'"number"', b"NaN"), code),
        vector("infinite by its exponent", signed(by(A), later="number").replace(b'"number"', b"1e999"), code),
        vector("integer beyond 2^53", signed(by(A), later=2**53), code),
        vector("5,000 digits", signed(by(A), later="number").replace(b'"number"', b"9" * 5000), code),
        vector("40 levels", signed(by(A), later=nested), code),
        vector("5,000 levels", signed(by(A), later="deep").replace(b'"deep"', b"[" * 5000 + b"]" * 5000), code),
        vector("cut", good[:-1], code),
        vector("text behind it", good + b"{}", code),
        vector("array", b"[" + good + b"]", code),
        vector("empty", b"", code),
        vector("sigstore bundle", text(SIGSTORE), "unsupported"),
    ]


def _over_caps() -> list[Document]:
    big = b"x" * 65537
    few: Document = {"keyid": "", "sig": "AA=="}
    return [
        vector("payload of 64 KiB and one byte", signed(by(A, over=big), over=big), "too_large"),
        vector("envelope of 96 KiB and one byte", signed(by(A)).ljust(96 * 1024 + 1), "too_large"),
        vector("17 signatures", signed(*(by(key) for key in CROWD)), "too_large", trusted=CROWD[:16], threshold=16),
        vector("2,000 signatures", signed(*([few] * 2000)), "too_large"),
        vector("signature of 2,049 characters", signed({"keyid": A.keyid, "sig": "A" * 2049}), "too_large"),
    ]


def make() -> None:
    """Write envelopes.json."""
    keys: Document = {key.name: key.described() for key in [A, B, ED, *CROWD]}
    save("envelopes.json", ABOUT, vectors(), keys=keys)
