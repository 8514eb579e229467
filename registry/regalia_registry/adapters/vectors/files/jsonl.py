"""JSONL: one row a line, its vectors beside its properties; our own files begin with a line that says what they are."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO, NoReturn
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from regalia.core.errors import DocumentError, UnsupportedError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.files.form import HEAD, Found, Head
from regalia_registry.adapters.vectors.files.guessing import DEFAULT, VECTOR, VECTORS, Guess
from regalia_registry.adapters.vectors.files.values import encoded_vectors, parsed, rows_of, spelled
from regalia_registry.domain.snapshots.rows import MAX_PROPERTIES_BYTES, Row, decode_key, encode_key
from regalia_registry.domain.snapshots.schema import MAX_DIMS, MAX_VECTORS, KeyKind, Schema

MAX_LINE = MAX_PROPERTIES_BYTES + 32 * 1024 * 1024  # the properties' cap, and room for the vectors' digits
MAX_NAMES = 1_000_000
MAX_VALUES = MAX_VECTORS * MAX_DIMS + MAX_NAMES  # in one line

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BATCH_ROWS = 2000
_BATCH_BYTES = 8 * 1024 * 1024
_HEAD = b'{"' + HEAD.encode() + b'":'
_NO_FLOATS = np.zeros(0)

Line = dict[str, object]


class JsonlForm:
    """A `Form`."""

    def head(self, file: BinaryIO) -> tuple[Head, int | None]:
        """Read the first line, where it is no row."""
        file.seek(0)
        if file.read(len(_HEAD)) != _HEAD:
            return Head(), None
        line = _line(file, 1, start=_HEAD)
        try:
            body = json.dumps({} if line is None else line[HEAD], ensure_ascii=False)
        except RecursionError as error:
            raise DocumentError("line 1 is nested too deeply") from error
        return Head.parse(body.encode("utf-8", "surrogatepass")), None

    def look(self, file: BinaryIO) -> Found:
        """Read the first line of a file of ours, and all lines of any other."""
        head, _ = self.head(file)
        if head.schema is not None:
            return Found(head.schema, head)
        guess = Guess()
        for lines in _batches(file):
            for number, line in lines:
                guess.add(line, number)
        schema, refusals = guess.schema(head)
        return Found(schema, head, tuple(refusals))

    def batches(self, file: BinaryIO, schema: Schema) -> Iterator[Sequence[Row]]:
        """Read all rows."""
        for lines in _batches(file):
            keys = [_key(line, number, schema) for number, line in lines]
            vectors = [_vectors(line, key, schema) for key, (_, line) in zip(keys, lines, strict=True)]
            columns = [(space.name, _contents(space, vectors, keys)) for space in schema.vectors]
            _require_known(lines, keys, {one.name for one in schema.properties} | {schema.key.name, VECTOR, VECTORS})
            properties = [spelled(one, [line.get(one.name) for _, line in lines], keys) for one in schema.properties]
            yield rows_of(keys, columns, properties)

    def keys(self, file: BinaryIO, schema: Schema) -> Iterator[list[bytes]]:
        """Read all lines for their keys."""
        for lines in _batches(file):
            yield [_key(line, number, schema) for number, line in lines]

    def require(self, schema: Schema) -> None:
        """Check that no property is named like what stands beside it."""
        taken = {schema.key.name, VECTOR, VECTORS, HEAD} & {one.name for one in schema.properties}
        if taken or schema.key.name in {VECTOR, VECTORS, HEAD, ""}:
            named = ", ".join(sorted(taken)) or schema.key.name
            raise UnsupportedError(
                f'a line of JSONL has one name twice: "{named}"', hint="write Parquet: --format parquet"
            )

    def writer(self, file: BinaryIO, head: Head) -> "JsonlWriter":
        """Begin a file."""
        if head.schema is None:
            raise UnsupportedError("a file of ours is written with its schema")
        return JsonlWriter(file, head.schema, head)


class JsonlWriter:
    """A `Writer`."""

    def __init__(self, file: BinaryIO, schema: Schema, head: Head) -> None:
        """Write the first line."""
        self._file = file
        self._names = {one.name for one in schema.properties}
        self._key = json.dumps(schema.key.name, ensure_ascii=False)
        self._file.write(_HEAD + head.written() + b"}\n")

    def add(self, rows: Sequence[Row]) -> None:
        """Write a line a row: a float32 as the shortest decimal of the same float64, which every reader rounds back."""
        for row in rows:
            parsed(row, self._names)
            key = decode_key(row.key)
            spoken = json.dumps(str(key) if isinstance(key, UUID) else key, ensure_ascii=False)
            vectors = {name: np.frombuffer(content, "<f4").tolist() for name, content in row.vectors}
            written = f'{{{self._key}:{spoken},"{VECTORS}":{json.dumps(vectors, ensure_ascii=False)}'
            more = b"," + row.properties[1:] if len(row.properties) > len(b"{}") else b"}"
            self._file.write(written.encode("utf-8") + more + b"\n")

    def append(self, file: BinaryIO) -> None:
        """Copy the lines behind the first."""
        file.seek(0)
        file.readline(MAX_LINE)
        while block := file.read(_BATCH_BYTES):
            self._file.write(block)

    def close(self) -> None:
        """Write nothing: a line is whole by itself."""


def _line(file: BinaryIO, number: int, *, start: bytes = b"") -> Line | None:
    """Read a line, of which the start may be read already; None at the end of the file."""
    body = start + file.readline(MAX_LINE + 1)
    if not body:
        return None
    if len(body) > MAX_LINE:
        raise DocumentError(
            f"line {number} is longer than {MAX_LINE} bytes", hint="a row's properties have a cap of 64 MiB"
        )
    _require_few(body, number)
    try:
        found = json.loads(body, object_pairs_hook=_once, parse_constant=_refused)
    except RecursionError as error:
        raise DocumentError(f"line {number} is nested too deeply") from error
    except ValueError as error:  # a number of too many digits and wrong UTF-8 too
        raise DocumentError(f"line {number} is no JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise DocumentError(f"line {number} is no JSON object", hint='a row is {"id": 1, "vectors": {"body": […]}, …}')
    return found


def _require_few(body: bytes, number: int) -> None:
    """Count what a line holds before it is parsed: an empty array is three bytes there, and seventy here."""
    if _are_few(*_counted(body, 0, len(body))):
        return
    names = values = place = 0  # outside of texts, whose own brackets count for nothing
    for text in chain(_STRING.finditer(body), [None]):
        end = len(body) if text is None else text.start()
        more_names, more_values = _counted(body, place, end)
        names, values, place = names + more_names, values + more_values, end if text is None else text.end()
        if not _are_few(names, values):
            break
    else:
        return
    raise DocumentError(
        f"line {number} has more than {MAX_NAMES} names, arrays and objects, or {MAX_VALUES} values",
        hint="split it into rows",
    )


def _counted(body: bytes, start: int, end: int) -> tuple[int, int]:
    names = sum(body.count(one, start, end) for one in (b":", b"[", b"{"))
    return names, body.count(b",", start, end)


def _are_few(names: int, values: int) -> bool:
    return names <= MAX_NAMES and values <= MAX_VALUES


def _batches(file: BinaryIO) -> Iterator[list[tuple[int, Line]]]:
    """Read numbered lines behind the head, some megabytes at a time."""
    file.seek(0)
    has_head = file.read(len(_HEAD)) == _HEAD
    file.seek(0)
    number, start, lines = 1, 0, list[tuple[int, Line]]()
    while (line := _line(file, number)) is not None:
        if number > 1 or not has_head:
            lines.append((number, line))
        number += 1
        if len(lines) >= _BATCH_ROWS or file.tell() - start >= _BATCH_BYTES:
            yield lines
            start, lines = file.tell(), []
    yield lines


def _key(line: Line, number: int, schema: Schema) -> bytes:
    value = line.get(schema.key.name)
    try:
        if schema.key_kind is KeyKind.UUID:
            return encode_key(UUID(str(value)))
        if isinstance(value, int if schema.key_kind is KeyKind.INTEGER else str) and not isinstance(value, bool):
            return encode_key(value)
    except ValueError as error:
        raise DocumentError(f"line {number} has the key {str(value)[:60]!r}, which is no UUID") from error
    raise DocumentError(f'line {number} has no {schema.key_kind} in "{schema.key.name}"', hint="every row needs a key")


def _vectors(line: Line, key: bytes, schema: Schema) -> dict[str, object]:
    found = line.get(VECTORS, {})
    if not isinstance(found, dict):
        raise DocumentError(f'the row {decode_key(key)} has "{VECTORS}", which is no object of lists')
    if VECTOR in line and DEFAULT in found:
        raise DocumentError(
            f'the row {decode_key(key)} has the vector "{DEFAULT}" twice: in "{VECTOR}" and in "{VECTORS}"',
            hint=f'remove "{VECTOR}"',
        )
    vectors: dict[str, object] = {**found, DEFAULT: line[VECTOR]} if VECTOR in line else found
    unknown = vectors.keys() - {space.name for space in schema.vectors}
    if unknown:
        raise DocumentError(
            f"the row {decode_key(key)} has the vector {min(unknown)[:60]!r}, which no row before it has"
        )
    return vectors


def _contents(space: VectorSpace, vectors: Sequence[dict[str, object]], keys: Sequence[bytes]) -> list[bytes | None]:
    """Turn a batch of one vector's lists into bytes."""
    found = [_numbers(row.get(space.name), space, key) for row, key in zip(vectors, keys, strict=True)]
    lengths = [None if one is None else len(one) for one in found]
    flat = np.concatenate([_NO_FLOATS, *(one for one in found if one is not None)])
    return encoded_vectors(flat, lengths, space, keys)


def _numbers(value: object, space: VectorSpace, key: bytes) -> NDArray[np.float64] | None:
    if value is None:
        return None
    try:
        if isinstance(value, list) and {int, float}.issuperset(map(type, value)):
            return np.array(value, np.float64)
    except OverflowError as error:
        raise DocumentError(f'the vector "{space.name}" of the row {decode_key(key)} is beyond float32') from error
    raise DocumentError(f'the vector "{space.name}" of the row {decode_key(key)} is no list of numbers')


def _require_known(lines: Sequence[tuple[int, Line]], keys: Sequence[bytes], names: set[str]) -> None:
    for key, (_, line) in zip(keys, lines, strict=True):
        unknown = line.keys() - names
        if unknown:
            raise DocumentError(
                f"the row {decode_key(key)} has {min(unknown)[:60]!r}, which the file's first line doesn't name",
                hint="remove the first line, and the types are read from the rows",
            )


def _once(pairs: list[tuple[str, object]]) -> Line:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no finite number")
