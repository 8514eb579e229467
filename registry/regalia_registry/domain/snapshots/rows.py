"""Rows in their one canonical form, and the digest of each: what a content root is made of.

All integers in hashed encodings are big-endian; vectors are little-endian float32, as engines store them.
"""

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import repeat
from typing import NamedTuple, NoReturn, Self, TypeVar, overload
from uuid import UUID

from regalia.core.errors import DocumentError

MAX_PROPERTIES_BYTES = 64 * 1024 * 1024
MAX_KEY = 8192

UUID_KEY, INTEGER_KEY, TEXT_KEY = b"\1", b"\2", b"\3"

_ROW = b"regrow/1\0"
_DENSE_FLOAT32 = 1
_FLOAT_BYTES = 4
_INT64 = struct.Struct(">q")
_U32 = struct.Struct(">I")
_VECTOR = struct.Struct(">BII")

_Part = bytes | Sequence[bytes]  # of what is hashed: the same in every row, or one a row
_Size = TypeVar("_Size", int, int | None)


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no finite number")


_READ = json.JSONDecoder(parse_constant=_refused).decode
_WRITE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class Row(NamedTuple):
    """One row: its encoded key, its vectors sorted by name (absent ones left out), its properties as canonical JSON."""

    key: bytes
    vectors: tuple[tuple[str, bytes], ...]
    properties: bytes


@dataclass(frozen=True, slots=True)
class Rows(Sequence[Row]):
    """A batch of rows, held by columns: what is read, hashed and stored by the million is never one object a row.

    Every column has one entry a row; an absent vector is None. The columns of vectors are sorted by name.
    """

    keys: Sequence[bytes]
    vectors: tuple[tuple[str, Sequence[bytes | None]], ...]
    properties: Sequence[bytes]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """Turn rows into columns; a batch that is one stays as it is."""
        if isinstance(rows, cls):
            return rows
        rows = list(rows)
        names = sorted({name for row in rows for name, _ in row.vectors})
        found = [dict(row.vectors) for row in rows]
        return cls(
            [row.key for row in rows],
            tuple((name, [vectors.get(name) for vectors in found]) for name in names),
            [row.properties for row in rows],
        )

    def picked(self, places: Sequence[int]) -> Self:
        """Give the rows at these places."""
        return type(self)(
            [self.keys[place] for place in places],
            tuple((name, [column[place] for place in places]) for name, column in self.vectors),
            [self.properties[place] for place in places],
        )

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.keys)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> "Row | Rows":
        """Give one row, or those of a slice."""
        if isinstance(place, slice):
            vectors = tuple((name, column[place]) for name, column in self.vectors)
            return type(self)(self.keys[place], vectors, self.properties[place])
        contents = [(name, column[place]) for name, column in self.vectors]
        return Row(
            self.keys[place],
            tuple((name, content) for name, content in contents if content is not None),
            self.properties[place],
        )

    def __iter__(self) -> Iterator[Row]:
        """Give each row."""
        return map(self.__getitem__, range(len(self.keys)))


def encode_key(value: UUID | int | str) -> bytes:
    """Encode a key; keys of two kinds never meet.

    Raises:
        DocumentError: An integer beyond 64 bits, or text that is too long or no Unicode.
    """
    if isinstance(value, UUID):
        return UUID_KEY + value.bytes
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(2**63) <= value < 2**63:
            raise DocumentError(f"the key {value} is beyond 64 bits")
        return INTEGER_KEY + _INT64.pack(value)
    encoded = _utf8(str(value), what="a key")
    if len(encoded) > MAX_KEY:
        raise DocumentError(f"a key has {len(encoded)} bytes, the cap is {MAX_KEY}")
    return TEXT_KEY + encoded


def decode_key(encoded: bytes) -> UUID | int | str:
    """Read an encoded key; the inverse of `encode_key`.

    Raises:
        DocumentError: It is none.
    """
    kind, content = encoded[:1], encoded[1:]
    try:
        if kind == UUID_KEY:
            return UUID(bytes=content)
        if kind == INTEGER_KEY:
            found: int = _INT64.unpack(content)[0]
            return found
        if kind == TEXT_KEY:
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
        if all(type(value) is str for value in present.values()):  # each text alone is written in a third of the time
            return join_properties([f"{_WRITE(name)}:{_WRITE(present[name])}" for name in sorted(present)])
        text = _WRITE(present)
    except (ValueError, TypeError, RecursionError) as error:
        raise DocumentError(f"a row's properties can't be written: {error}") from error
    return _capped(text)


def decode_properties(key: bytes, encoded: bytes) -> dict[str, object]:
    """Read the properties of a row; `key` names it where they are none.

    Raises:
        DocumentError: They are no JSON object that we write.
    """
    try:
        found = _READ(encoded.decode("utf-8"))
        if b"\\u" in encoded:
            _WRITE(found).encode("utf-8")  # half of a surrogate pair is none of our text
    except (ValueError, RecursionError) as error:  # no UTF-8, and a number of too many digits, too
        raise DocumentError(f"the properties of the row {decode_key(key)} are no JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise DocumentError(f"the properties of the row {decode_key(key)} are no JSON object")
    return found


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


def row_digests(rows: Rows) -> list[bytes]:
    """Hash each row of a batch: 32 bytes that differ where anything in it does."""
    parts = [_headed(_ROW, rows.keys), rows.keys, _counts(rows)]
    for name, contents in rows.vectors:
        parts += _vector_columns(name, contents)
    parts += [_headed(b"", rows.properties), rows.properties]
    whole = zip(*(repeat(part, len(rows)) if isinstance(part, bytes) else part for part in _merged(parts)), strict=True)
    return [state.digest() for state in map(sha256, map(b"".join, whole))]


def _merged(parts: Iterable[_Part]) -> list[_Part]:
    """Make one part of neighbours that are the same in every row."""
    found = list[_Part]()
    for part in parts:
        if isinstance(part, bytes) and found and isinstance(found[-1], bytes):
            found[-1] += part
        else:
            found.append(part)
    return found


def _headed(before: bytes, contents: Sequence[bytes]) -> _Part:
    """Give what stands before each content: some bytes, and its length."""
    return _told(list(map(len, contents)), lambda size: before + _U32.pack(size))


def _told(sizes: Sequence[_Size], tell: Callable[[_Size], bytes]) -> _Part:
    """Tell each size; once for all rows where there is but one."""
    told = {size: tell(size) for size in set(sizes)}
    return next(iter(told.values())) if len(told) == 1 else [told[size] for size in sizes]


def _counts(rows: Rows) -> _Part:
    """Give the number of each row's vectors."""
    columns = [contents for _, contents in rows.vectors]
    if not any(None in contents for contents in columns):
        return len(columns).to_bytes(2, "big")
    absent = [sum(content is None for content in contents) for contents in zip(*columns, strict=True)]
    return [(len(columns) - count).to_bytes(2, "big") for count in absent]


def _vector_columns(name: str, contents: Sequence[bytes | None]) -> tuple[_Part, _Part]:
    """Give what stands before each vector, and the vectors; both are empty where a row has none."""
    encoded = _utf8(name, what="a vector's name")
    named = len(encoded).to_bytes(2, "big") + encoded
    sizes = [None if content is None else len(content) for content in contents]
    heads = _told(sizes, lambda size: b"" if size is None else named + _vector_head(size))
    return heads, [content or b"" for content in contents]


def _vector_head(size_bytes: int) -> bytes:
    return _VECTOR.pack(_DENSE_FLOAT32, size_bytes // _FLOAT_BYTES, size_bytes)


def _utf8(text: str, *, what: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DocumentError(f"{what} is no Unicode text: it holds half of a surrogate pair") from error
