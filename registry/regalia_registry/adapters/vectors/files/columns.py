"""What a column of somebody's Parquet is to us: a key, a vector, or a property of one of our types."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow as pa

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.rows import encode_key
from regalia_registry.domain.snapshots.schema import KeyKind, Schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_UUID_BYTES = 16
_LEAVES = {"text", "int", "number", "boolean"}

Told = tuple[str, list[str], list[str]]


def vector_dims(arrow: pa.DataType) -> int | None:
    """Give the dimensions of a column of vectors, 0 where only its rows say them; None where it is none."""
    if not _is_list(arrow) or not (pa.types.is_float32(arrow.value_type) or pa.types.is_float64(arrow.value_type)):
        return None
    return int(arrow.list_size) if pa.types.is_fixed_size_list(arrow) else 0


def property_type(column: pa.Field) -> Told:
    """Give the type of a property, what of it is not kept as it is, and why it can't be kept."""
    arrow = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    kind = _plain(arrow)
    if kind is not None:
        return kind, [], []
    if pa.types.is_timestamp(arrow):
        return "date", [] if arrow.tz else [f"{column.name}: a time without a zone as UTC"], []
    if pa.types.is_decimal(arrow) or pa.types.is_date(arrow):
        return "text", [f"{column.name}: {arrow} as text"], []
    inner = _plain(arrow.value_type) if _is_list(arrow) else None
    if inner in _LEAVES:
        return f"{inner}[]", [], []
    if _is_json(arrow):
        return "json", [], []
    return "json", [], [f'the column "{column.name}" is {arrow}: write it as text']


def keys_of(column: pa.Array, schema: Schema) -> list[bytes]:
    """Encode a batch's keys.

    Raises:
        DocumentError: A row has none, or one that is too large.
    """
    values = _contents(column)
    if None in values:
        raise DocumentError(f'a row has no key in "{schema.key.name}"', hint="every row needs one that no other has")
    made = _KEYS[schema.key_kind]
    return [encode_key(made(value)) for value in values]


def contents_of(column: pa.Array, type_name: str, *, is_ours: bool) -> Sequence[object]:
    """Give a batch of one property as values that its type spells; our own files have JSON as text."""
    if is_ours and type_name.removesuffix("[]") == "json":
        return [_parsed(value) for value in column.to_pylist()]
    return _contents(column)


def _contents(column: pa.Array) -> Sequence[object]:
    arrow = column.type
    if pa.types.is_dictionary(arrow):
        return _contents(column.dictionary_decode())
    if pa.types.is_timestamp(arrow):
        return [None if value is None else _moment(value, arrow.unit) for value in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_decimal(arrow) or pa.types.is_date(arrow):
        column = column.cast(pa.string())
    values: Sequence[object] = column.to_pylist()
    if pa.types.is_fixed_size_binary(arrow):
        return [UUID(bytes=value) if isinstance(value, bytes) else None for value in values]
    return values


def _moment(value: int, unit: str) -> str:
    """Spell a moment by hand: Python's dates have no nanoseconds."""
    digits = _DIGITS[unit]
    seconds, rest = divmod(value, 10**digits)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise DocumentError(f"a date is {value} {unit} from 1970, which is beyond the years 1 to 9999") from error
    fraction = f".{rest:0{digits}}" if digits else ""
    return f"{moment.year:04}{moment:-%m-%dT%H:%M:%S}{fraction}Z"


def _parsed(value: object) -> object:
    if isinstance(value, list):
        return [json.loads(str(one)) for one in value]
    return None if value is None else json.loads(str(value))


def _plain(arrow: pa.DataType) -> str | None:
    return next((kind for is_one, kind in _KINDS if is_one(arrow)), None)


def _is_list(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow))


def _is_uuid(arrow: pa.DataType) -> bool:
    return bool(arrow == pa.uuid()) or bool(pa.types.is_fixed_size_binary(arrow) and arrow.byte_width == _UUID_BYTES)


def _is_json(arrow: pa.DataType) -> bool:
    """Say whether all leaves of a nested type are texts, numbers and booleans."""
    if pa.types.is_struct(arrow):
        return all(_is_json(arrow.field(place).type) for place in range(arrow.num_fields))
    return _is_json(arrow.value_type) if _is_list(arrow) else _plain(arrow) in {*_LEAVES, "json"}


_KINDS: Sequence[tuple[Callable[[pa.DataType], bool], str]] = (
    (_is_uuid, "uuid"),
    (lambda arrow: arrow in (pa.string(), pa.large_string(), pa.string_view()), "text"),
    (pa.types.is_integer, "int"),
    (lambda arrow: arrow in (pa.float32(), pa.float64()), "number"),
    (pa.types.is_boolean, "boolean"),
    (lambda arrow: arrow in (pa.binary(), pa.large_binary(), pa.binary_view()), "bytes"),
    (pa.types.is_null, "json"),
)
_KEYS: dict[KeyKind, Callable[[object], UUID | int | str]] = {
    KeyKind.UUID: lambda value: UUID(str(value)),
    KeyKind.INTEGER: lambda value: int(str(value)),
    KeyKind.TEXT: str,
}
