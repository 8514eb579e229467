"""Parquet: our own form, written in small row groups, and what people have, within a closed list of column types."""

import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from regalia.core.errors import DocumentError, UnsupportedError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.adapters.vectors.files.columns import contents_of, keys_of, property_type, vector_dims
from regalia_registry.adapters.vectors.files.form import HEAD, Found, Head
from regalia_registry.adapters.vectors.files.values import encoded_vectors, parsed, rows_of, spelled
from regalia_registry.domain.snapshots.rows import MAX_PROPERTIES_BYTES, Row, decode_key
from regalia_registry.domain.snapshots.schema import MAX_DIMS, MAX_VECTORS, Family, KeyKind, Property, Schema
from regalia_registry.domain.snapshots.translation import KEY_NAMES

_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_ROWS = 2000
_PIECE_ROWS = 32  # read at once: a page of few bytes can be as many texts of megabytes
_MAX_ROW = MAX_PROPERTIES_BYTES + MAX_VECTORS * MAX_DIMS * 8
_GROUP_BYTES = 16 * 1024 * 1024
_BUFFER = 1024 * 1024
_VECTOR = "vector:"
_KINDS = {"uuid": KeyKind.UUID, "int": KeyKind.INTEGER, "text": KeyKind.TEXT}
_INT64 = range(-(2**63), 2**63)
# Text that is no UTF-8, JSON that is none or too deep: pyarrow reads what it is given, and complains in many ways.
_BROKEN = (pa.ArrowException, OSError, KeyError, ValueError, OverflowError, RecursionError)
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class ParquetForm:
    """A `Form`."""

    def head(self, file: BinaryIO) -> tuple[Head, int | None]:
        """Read the footer."""
        with _opened(file) as opened:
            return _head(opened), int(opened.metadata.num_rows)

    def look(self, file: BinaryIO) -> Found:
        """Read the footer, and the first vector of a column that doesn't say its dimensions."""
        with _opened(file) as opened:
            head, schema = _head(opened), opened.schema_arrow.remove_metadata()
            if head.schema is not None and schema.equals(_arrow(head.schema)):
                return Found(head.schema, head)
            return _described(opened, Head(metrics=head.metrics))

    def batches(self, file: BinaryIO, schema: Schema) -> Iterator[Sequence[Row]]:
        """Read all rows."""
        with _opened(file) as opened:
            is_ours = opened.schema_arrow.remove_metadata().equals(_arrow(schema))
            types = {one.name: one.type for one in schema.properties}
            names = [schema.key.name, *(_column(opened, space) for space in schema.vectors), *types]
            for batch in _batches(opened, names):
                keys = keys_of(batch[schema.key.name], schema)
                vectors = [
                    (space.name, _vectors(batch[_column(opened, space)], space, keys)) for space in schema.vectors
                ]
                columns = {name: contents_of(batch[name], kind, is_ours=is_ours) for name, kind in types.items()}
                properties = [spelled(one, columns[one.name], keys) for one in schema.properties]
                yield rows_of(keys, vectors, properties)

    def keys(self, file: BinaryIO, schema: Schema) -> Iterator[list[bytes]]:
        """Read the key column."""
        with _opened(file) as opened:
            for batch in _batches(opened, [schema.key.name]):
                yield keys_of(batch[schema.key.name], schema)

    def require(self, schema: Schema) -> None:
        """Check that no two columns have one name."""
        names = [one.name for one in _arrow(schema)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UnsupportedError(
                f"a Parquet file would have two columns {', '.join(map(repr, twice))}",
                hint="rename the property where it is, and take it again",
            )

    def writer(self, file: BinaryIO, head: Head) -> "ParquetWriter":
        """Begin a file."""
        if head.schema is None:
            raise UnsupportedError("a file of ours is written with its schema")
        return ParquetWriter(file, head.schema, head)


class ParquetWriter:
    """A `Writer`."""

    def __init__(self, file: BinaryIO, schema: Schema, head: Head) -> None:
        """Write the magic bytes."""
        self._schema = schema
        self._columns = _arrow(schema)
        split = [f"{_VECTOR}{space.name}.list.element" for space in schema.vectors]
        self._writer = pq.ParquetWriter(
            file,
            self._columns.with_metadata({HEAD: head.written()}),
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            use_byte_stream_split=split or False,
            write_statistics=False,
        )

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows in groups of some megabytes."""
        waiting: list[Row] = []
        size_bytes = 0
        for row in rows:
            waiting.append(row)
            size_bytes += len(row.key) + len(row.properties) + sum(len(content) for _, content in row.vectors)
            if size_bytes >= _GROUP_BYTES:
                self._write(waiting)
                waiting, size_bytes = [], 0
        if waiting:
            self._write(waiting)

    def append(self, file: BinaryIO) -> None:
        """Copy the row groups."""
        for group in _groups(file):
            self._writer.write_table(group.cast(self._columns))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()

    def _write(self, rows: Sequence[Row]) -> None:
        keys = [row.key for row in rows]
        names = {one.name for one in self._schema.properties}
        values = [parsed(row, names) for row in rows]
        columns = [
            _key_column(keys, self._schema.key_kind),
            *(_vector_column(rows, space) for space in self._schema.vectors),
            *(
                _property_column(one, [row.get(one.name) for row in values], keys, self._columns.field(one.name).type)
                for one in self._schema.properties
            ),
        ]
        self._writer.write_table(pa.table(columns, schema=self._columns))


@contextmanager
def _opened(file: BinaryIO) -> Iterator[pq.ParquetFile]:
    """Open a footer, and turn the library's complaints into ours."""
    file.seek(0)
    try:
        yield pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
    except _BROKEN as error:
        told = str(error).partition("\n")[0][:200]
        raise DocumentError(f"the Parquet file can't be read: {told}", hint="write it anew") from error


def _groups(file: BinaryIO) -> Iterator[pa.Table]:
    with _opened(file) as opened:
        for number in range(opened.num_row_groups):
            yield opened.read_row_group(number)


def _head(opened: pq.ParquetFile) -> Head:
    body = (opened.metadata.metadata or {}).get(HEAD.encode())
    return Head() if body is None else Head.parse(body)


def _arrow(schema: Schema) -> pa.Schema:
    """Give the columns of our own form."""
    key = {KeyKind.UUID: pa.uuid(), KeyKind.INTEGER: pa.int64(), KeyKind.TEXT: pa.string()}[schema.key_kind]
    return pa.schema(
        [
            pa.field(schema.key.name, key, nullable=False),
            *(pa.field(f"{_VECTOR}{space.name}", _listed(pa.float32())) for space in schema.vectors),
            *(pa.field(one.name, _property_arrow(one.type)) for one in schema.properties),
        ]
    )


def _listed(inner: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", inner))


def _property_arrow(type_name: str) -> pa.DataType:
    """Give a property's column type: dates and JSON are texts, which keep every digit and every year."""
    if type_name.endswith("[]"):
        return _listed(_property_arrow(type_name.removesuffix("[]")))
    return {"int": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "bytes": pa.binary()}.get(
        type_name, pa.string()
    )


def _described(opened: pq.ParquetFile, head: Head) -> Found:
    """Describe a file that somebody else wrote."""
    columns = opened.schema_arrow
    if len(set(columns.names)) != len(columns.names):
        return Found(_bare(), head, ("two of its columns have the same name",))
    key, refusals = _key(columns)
    spaces, properties, fidelity = [], [], []
    for column in columns:
        dims = vector_dims(column.type)
        if column.name == key.name:
            continue
        if dims is not None:
            space, refused = _space(opened, column, dims, head)
            spaces += space
            lost = [f"{column.name}: float64 as float32"] if pa.types.is_float64(column.type.value_type) else []
        else:
            kind, lost, refused = property_type(column)
            properties.append(Property(column.name, kind))
        refusals += refused
        fidelity += lost
    if not spaces and not refusals:
        refusals.append("it has no column of vectors: a list of float32, or of float64")
    spaces.sort(key=lambda space: space.name)
    properties.sort(key=lambda one: one.name)
    schema = Schema(Family.FILES, key, _KINDS[key.type], tuple(spaces), tuple(properties), {})
    return Found(schema, head, tuple(refusals), tuple(fidelity))


def _bare() -> Schema:
    return Schema(Family.FILES, Property("", "text"), KeyKind.TEXT, (), (), {})


def _key(columns: pa.Schema) -> tuple[Property, list[str]]:
    name = next((name for name in KEY_NAMES if name in columns.names), None)
    if name is None:
        return Property("", "text"), ['it has no key: name the column of its keys "id" or "key"']
    kind, _, refused = property_type(columns.field(name))
    if kind not in _KINDS or refused:
        return Property(name, "text"), [f'its key "{name}" is {columns.field(name).type}: uuid, int or text is needed']
    return Property(name, kind), []


def _space(opened: pq.ParquetFile, column: pa.Field, dims: int, head: Head) -> tuple[list[VectorSpace], Sequence[str]]:
    name = column.name.removeprefix(_VECTOR)
    if name != column.name and name in opened.schema_arrow.names:
        return [], [f'the columns "{name}" and "{column.name}" are one vector: remove one']
    if not dims:
        batches = _batches(opened, [column.name])
        lengths = (length for batch in batches for length in pc.list_value_length(batch[column.name]).to_pylist())
        dims = next((int(length) for length in lengths if length is not None), 0)
    if not dims:
        return [], [f'no row of "{column.name}" says its dimensions: write it as a fixed-size list']
    return [VectorSpace(name, dims, head.metric(name))], []


def _column(opened: pq.ParquetFile, space: VectorSpace) -> str:
    prefixed = f"{_VECTOR}{space.name}"
    return prefixed if prefixed in opened.schema_arrow.names else space.name


def _batches(opened: pq.ParquetFile, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read some columns, some megabytes at a time; what the file says of its size is not believed."""
    waiting, rows, size_bytes = list[pa.RecordBatch](), 0, 0
    for piece in opened.iter_batches(_PIECE_ROWS, columns=list(names), use_threads=False):
        for part in map(_decoded, _cut(piece)):
            waiting.append(part)
            rows += part.num_rows
            size_bytes += part.nbytes
            if rows >= _BATCH_ROWS or size_bytes >= _BATCH_BYTES:
                yield pa.concat_batches(waiting)
                waiting, rows, size_bytes = [], 0, 0
    if waiting:
        yield pa.concat_batches(waiting)


def _cut(piece: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Halve a batch until it is small, or one row; a dictionary counts in every part, so that none repeats it often."""
    if piece.nbytes <= _BATCH_BYTES or piece.num_rows <= 1:
        yield piece
        return
    half = piece.num_rows // 2
    yield from _cut(piece.slice(0, half))
    yield from _cut(piece.slice(half))


def _decoded(part: pa.RecordBatch) -> pa.RecordBatch:
    """Give a part without dictionaries.

    Raises:
        DocumentError: It is one row, and larger than any row may be.
    """
    columns = [one.dictionary_decode() if pa.types.is_dictionary(one.type) else one for one in part.columns]
    found = pa.RecordBatch.from_arrays(columns, names=part.schema.names)
    if found.num_rows == 1 and found.nbytes > _MAX_ROW:
        raise DocumentError(f"a row has {found.nbytes} bytes, the cap is {_MAX_ROW}", hint="write it anew, with less")
    return found


def _vectors(column: pa.Array, space: VectorSpace, keys: Sequence[bytes]) -> list[bytes | None]:
    flat = column.flatten()
    if flat.null_count:
        raise DocumentError(f'a vector "{space.name}" has a number that is null', hint="write the row without it")
    lengths = pc.list_value_length(column).to_pylist()
    return encoded_vectors(flat.to_numpy(zero_copy_only=False), lengths, space, keys)


def _key_column(keys: Sequence[bytes], kind: KeyKind) -> pa.Array:
    decoded = [decode_key(key) for key in keys]
    if kind is KeyKind.UUID:
        stored = [key.bytes for key in decoded if isinstance(key, UUID)]
        return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(stored, pa.binary(16)))
    return pa.array(decoded, pa.int64() if kind is KeyKind.INTEGER else pa.string())


def _vector_column(rows: Sequence[Row], space: VectorSpace) -> pa.Array:
    """Make a list column of one vector; a row that lacks it is null."""
    found = [dict(row.vectors).get(space.name) for row in rows]
    ends = np.cumsum([0, *(0 if content is None else space.dims for content in found)], dtype=np.int32)
    flat = np.frombuffer(b"".join(content for content in found if content is not None), "<f4")
    absent = pa.array([content is None for content in found])
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(flat), type=_listed(pa.float32()), mask=absent)


def _property_column(
    declared: Property, values: Sequence[object], keys: Sequence[bytes], arrow: pa.DataType
) -> pa.Array:
    made = []
    for key, value in zip(keys, values, strict=True):
        try:
            made.append(None if value is None else _held(value, declared.type))
        except (ValueError, TypeError) as error:
            raise DocumentError(
                f'the property "{declared.name}" of the row {decode_key(key)} is none that Parquet holds as '
                f"{declared.type}: {error}",
                hint="write JSONL, which holds integers of any size: --format jsonl",
            ) from error
    return pa.array(made, arrow)


def _held(value: object, type_name: str) -> object:
    """Give a canonical value as its column takes it."""
    if type_name.endswith("[]"):
        if not isinstance(value, list):
            raise TypeError("it is no array")
        return [_held(one, type_name.removesuffix("[]")) for one in value]
    if type_name == "int":
        if not isinstance(value, int) or value not in _INT64:
            raise ValueError("it is beyond 64 bits")
        return value
    if type_name == "bytes":
        return b64decode(str(value))
    return _JSON(value) if type_name == "json" else value
