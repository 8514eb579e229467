"""Makes `rows.json` with hashlib, struct and json alone: a second implementation of rows and content roots.

`python -m tests.vectors.make_rows` writes it; a second run changes no byte.
"""

import base64
import hashlib
import json
import struct
import uuid
from pathlib import Path

FILE = Path(__file__).parent / "rows.json"
ABOUT = (
    "Rows: `key` {kind, value}, `vectors` by name as lists of float32, `properties` as JSON; `properties_text` and"
    " `digest` are what a canonical row has. Collections: `schema` is base64 of the schema's bytes; `root` is over its"
    " rows."
    " Values: one value of a typed property and its one spelling. A vector with an `error` is refused with that code."
)
Json = dict[str, object]

IDS = [uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.com/{number}") for number in range(300)]


def key(kind: str, value: object) -> Json:
    return {"kind": kind, "value": value}


def encoded(key: Json) -> bytes:
    value = key["value"]
    if key["kind"] == "uuid":
        return b"\x01" + uuid.UUID(str(value)).bytes
    if key["kind"] == "integer":
        return b"\x02" + struct.pack(">q", value)
    return b"\x03" + str(value).encode("utf-8")


def properties(values: Json) -> bytes:
    present = {name: value for name, value in values.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def digest(row: Json) -> bytes:
    key_bytes, text = encoded(row["key"]), properties(row["properties"])  # type: ignore[arg-type] # a row is JSON
    vectors = row["vectors"]
    assert isinstance(vectors, dict)
    body = b"regrow/1\0" + struct.pack(">I", len(key_bytes)) + key_bytes + struct.pack(">H", len(vectors))
    for name in sorted(vectors):
        numbers = struct.pack(f"<{len(vectors[name])}f", *vectors[name])
        body += struct.pack(">H", len(name.encode())) + name.encode() + b"\x01"
        body += struct.pack(">II", len(vectors[name]), len(numbers)) + numbers
    return hashlib.sha256(body + struct.pack(">I", len(text)) + text).digest()


def root(schema: bytes, rows: list[Json]) -> str:
    buckets: list[list[tuple[bytes, bytes]]] = [[] for _ in range(256)]
    for row in rows:
        place = hashlib.sha256(encoded(row["key"])).digest()  # type: ignore[arg-type] # a row is JSON
        buckets[place[0]].append((place, digest(row)))
    hashed = [hashlib.sha256(b"".join(row for _, row in sorted(bucket))).digest() for bucket in buckets]
    whole = hashlib.sha256(schema).digest() + struct.pack(">Q", len(rows)) + b"".join(hashed)
    return "sha256:" + hashlib.sha256(b"regroot/1\0" + whole).hexdigest()


def row(key: Json, vectors: dict[str, list[float]], **values: object) -> Json:
    return {"key": key, "vectors": vectors, "properties": values}


def good(name: str, one: Json) -> Json:
    text = properties(one["properties"]).decode()  # type: ignore[arg-type] # a row is JSON
    return {"name": name, **one, "properties_text": text, "digest": digest(one).hex(), "error": None}


def bad(name: str, one: Json) -> Json:
    return {"name": name, **one, "error": "invalid_document"}


def rows() -> list[Json]:
    ann = key("text", "ann")
    return [
        good("uuid key", row(key("uuid", str(IDS[0])), {"default": [0.5, -1.25]}, title="Fees")),
        good("integer key", row(key("integer", -7), {"default": [1.0]})),
        good("smallest integer key", row(key("integer", -(2**63)), {})),
        good("text key of another script", row(key("text", "Łódź"), {"default": [0.0]})),
        good("decomposed text is another key", row(key("text", "Lo\u0301dz\u0301"), {})),
        good("an empty key", row(key("text", ""), {})),
        good("two vectors in the order of their names", row(ann, {"title": [1.0], "body": [2.0, 3.0]})),
        good("minus zero is kept", row(ann, {"default": [-0.0]})),
        good("no vector", row(ann, {}, only="text")),
        good("absent is null", row(ann, {}, here=1, absent=None)),
        good("an empty array is not absent", row(ann, {}, tags=[])),
        good("null within an object stays", row(ann, {}, object={"a": None})),
        good("integers of any size", row(ann, {}, large=2**80 + 1)),
        good("keys sorted, text not escaped", row(ann, {}, z="ü\u2028\x00", a='"\\/')),
        bad("key beyond 64 bits", row(key("integer", 2**63), {})),
        bad("lone surrogate in a key", row(key("text", "\ud800"), {})),
        bad("lone surrogate in a property", row(ann, {}, text="\udfff")),
    ]


def collections() -> list[Json]:
    schema = b'{"engine":{},"family":"files"}'
    whole = [row(key("uuid", str(one)), {"default": [float(place)]}, place=place) for place, one in enumerate(IDS)]

    def collection(name: str, rows: list[Json], schema: bytes = schema) -> Json:
        spelled = base64.b64encode(schema).decode()
        return {"name": name, "schema": spelled, "rows": rows, "root": root(schema, rows), "error": None}

    return [
        collection("empty", []),
        collection("one row", whole[:1]),
        collection("another schema", whole[:1], schema=b"{}"),
        collection("three hundred rows", whole),
        collection("the same in another order", whole[::-1]),
        {"name": "a key twice", "schema": "e30=", "rows": [whole[0], whole[1], whole[0]], "error": "invalid_document"},
    ]


def values() -> list[Json]:
    def right(type_name: str, given: object, spelled: object) -> Json:
        return {"type": type_name, "value": given, "spelled": spelled, "error": None}

    def wrong(type_name: str, value: object) -> Json:
        return {"type": type_name, "value": value, "error": "invalid_document"}

    return [
        right("number", 1, 1.0),
        right("number", 5e-324, 5e-324),
        right("int", 2**53 + 1, 2**53 + 1),
        right("date", "2026-03-15T12:00:00+02:00", "2026-03-15T10:00:00Z"),
        right("date", "2026-03-15t12:00:00.120000000Z", "2026-03-15T12:00:00.12Z"),
        right("date", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        right("date", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        right("uuid", IDS[0].hex.upper(), str(IDS[0])),
        right("bytes", "/+8=", "/+8="),
        right("text[]", [], []),
        right("date[]", ["2026-03-15T12:00:00Z"], ["2026-03-15T12:00:00Z"]),
        right("json", {"b": [1, None, {"a": 0.5}]}, {"b": [1, None, {"a": 0.5}]}),
        wrong("date", "2026-03-15"),
        wrong("date", "2026-03-15T12:00:00"),
        wrong("date", "2026-02-30T12:00:00Z"),
        wrong("date", "9999-12-31T23:59:59-01:00"),
        wrong("date", "2026-03-15T12:00:00Z\n"),
        wrong("int", value=True),
        wrong("int", 1.0),
        wrong("number", "1"),
        wrong("number", 10**400),
        wrong("text", 1),
        wrong("text[]", "text"),
        wrong("uuid", "no"),
        wrong("bytes", "?"),
        wrong("colour", "red"),
    ]


if __name__ == "__main__":
    made = {"about": ABOUT, "rows": rows(), "collections": collections(), "values": values()}
    FILE.write_text(json.dumps(made, indent=1) + "\n", encoding="ascii")
