"""Rows in their one canonical form, and the digest of each: what a content root is made of.

All integers in hashed encodings are big-endian; vectors are little-endian float32, as engines store them.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from regalia.core.errors import DocumentError

MAX_PROPERTIES_BYTES = 64 * 1024 * 1024
MAX_KEY = 8192
MAX_DIMS = 65_535

_ROW = b"regrow/1\0"
_UUID, _INTEGER, _TEXT = b"\1", b"\2", b"\3"
_DENSE_FLOAT32 = 1
_FLOAT_BYTES = 4
_INT64 = struct.Struct(">q")
_U32 = struct.Struct(">I")
_VECTOR = struct.Struct(">BII")
_WRITE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class Row(NamedTuple):
    """One row: its encoded key, its vectors sorted by name (absent ones left out), its properties as canonical JSON."""

    key: bytes
    vectors: tuple[tuple[str, bytes], ...]
    properties: bytes


def encode_key(value: UUID | int | str) -> bytes:
    """Encode a key; keys of two kinds never meet.

    Raises:
        DocumentError: An integer beyond 64 bits, or text that is too long or no Unicode.
    """
    if isinstance(value, UUID):
        return _UUID + value.bytes
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(2**63) <= value < 2**63:
            raise DocumentError(f"the key {value} is beyond 64 bits")
        return _INTEGER + _INT64.pack(value)
    encoded = _utf8(str(value), what="a key")
    if len(encoded) > MAX_KEY:
        raise DocumentError(f"a key has {len(encoded)} bytes, the cap is {MAX_KEY}")
    return _TEXT + encoded


def decode_key(encoded: bytes) -> UUID | int | str:
    """Read an encoded key; the inverse of `encode_key`.

    Raises:
        DocumentError: It is none.
    """
    kind, content = encoded[:1], encoded[1:]
    try:
        if kind == _UUID:
            return UUID(bytes=content)
        if kind == _INTEGER:
            found: int = _INT64.unpack(content)[0]
            return found
        if kind == _TEXT:
            return content.decode("utf-8")
    except (ValueError, struct.error) as error:
        raise DocumentError("a key is not in its canonical form") from error
    raise DocumentError(f"a key has the kind {kind.hex() or 'nothing'}, expected 01, 02 or 03")


def encode_properties(values: Mapping[str, object]) -> bytes:
    """Write canonical properties v1: sorted keys, compact, UTF-8 as it is; null is absent.

    Raises:
        DocumentError: A value JSON does not have, or a row over its cap.
    """
    present = {name: value for name, value in values.items() if value is not None}
    try:
        text = _WRITE(present)
    except (ValueError, TypeError) as error:
        raise DocumentError(f"a row's properties can't be written: {error}") from error
    return _capped(text)


def join_properties(spelled: Iterable[str]) -> bytes:
    """Write canonical properties from `"name":value` parts that are spelled and sorted already: for whole columns.

    Raises:
        DocumentError: Text that is no Unicode, or a row over its cap.
    """
    return _capped("{" + ",".join(spelled) + "}")


def _capped(text: str) -> bytes:
    encoded = _utf8(text, what="a row's properties")
    if len(encoded) > MAX_PROPERTIES_BYTES:
        raise DocumentError(f"a row's properties have {len(encoded)} bytes, the cap is {MAX_PROPERTIES_BYTES}")
    return encoded


def row_digest(row: Row) -> bytes:
    """Hash a row: 32 bytes that differ where anything in it does."""
    parts = [_ROW, _U32.pack(len(row.key)), row.key, len(row.vectors).to_bytes(2, "big")]
    for name, content in row.vectors:
        parts += [_vector_head(name, len(content)), content]
    parts += [_U32.pack(len(row.properties)), row.properties]
    return sha256(b"".join(parts)).digest()


_HEADS: dict[tuple[str, int], bytes] = {}


def _vector_head(name: str, size_bytes: int) -> bytes:
    """Give what stands before a vector's bytes; a collection has a handful of these."""
    found = _HEADS.get((name, size_bytes))
    if found is None:
        encoded = _utf8(name, what="a vector's name")
        head = _VECTOR.pack(_DENSE_FLOAT32, size_bytes // _FLOAT_BYTES, size_bytes)
        found = len(encoded).to_bytes(2, "big") + encoded + head
        if len(_HEADS) < MAX_DIMS:
            _HEADS[name, size_bytes] = found
    return found


def _utf8(text: str, *, what: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DocumentError(f"{what} is no Unicode text: it holds half of a surrogate pair") from error
