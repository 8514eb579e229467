"""Checking what a file holds: vectors as float32, properties in their one spelling. Every fault names its row's key."""

import json
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from regalia.core.errors import DocumentError
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.properties import normaliser
from regalia_registry.domain.snapshots.rows import (
    Row,
    Rows,
    decode_key,
    decode_properties,
    encode_properties,
    join_properties,
)
from regalia_registry.domain.snapshots.schema import Property

_FLOAT_BYTES = 4
_WRITE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def encoded_vectors(
    flat: NDArray[np.float32 | np.float64], lengths: Sequence[int | None], space: VectorSpace, keys: Sequence[bytes]
) -> list[bytes | None]:
    """Cut a batch's numbers into vectors of little-endian float32.

    Args:
        flat: The numbers of all vectors that are there, one after another.
        lengths: How many of them each row has; None for a row without this vector.
        space: What the vector is.
        keys: The rows' keys.

    Raises:
        DocumentError: A vector of another size, or one with NaN or infinity, or beyond what float32 holds.
    """
    for key, length in zip(keys, lengths, strict=True):
        if length is not None and length != space.dims:
            raise DocumentError(
                f'the row {decode_key(key)} has {length} dimensions in "{space.name}", not {space.dims}'
            )
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinity, and is refused below
        narrow = np.ascontiguousarray(flat, "<f4")
    finite = np.isfinite(narrow)
    if not finite.all():
        present = [key for key, length in zip(keys, lengths, strict=True) if length is not None]
        key = present[int(np.argmin(finite)) // space.dims]
        raise DocumentError(f'the vector "{space.name}" of the row {decode_key(key)} holds NaN or infinity')
    contents: list[bytes] = narrow.view(f"V{space.dims * _FLOAT_BYTES}").tolist()
    if len(contents) == len(lengths):
        return list(contents)
    present_ones = iter(contents)
    return [None if length is None else next(present_ones) for length in lengths]


def spelled(declared: Property, values: Sequence[object], keys: Sequence[bytes]) -> list[str | None]:
    """Spell one property of a batch as `"name":value`; None stays None.

    Raises:
        DocumentError: A value that is none of its type.
    """
    normalise, name = normaliser(declared.type), _WRITE(declared.name)
    found: list[str | None] = []
    for key, value in zip(keys, values, strict=True):
        try:
            found.append(None if value is None else f"{name}:{_WRITE(normalise(value))}")
        except (DocumentError, ValueError, RecursionError) as error:  # an integer of too many digits, 1,000 levels
            raise DocumentError(
                f'the property "{declared.name}" of the row {decode_key(key)}: {error}', hint="correct it in the file"
            ) from error
    return found


def parsed(row: Row, names: Collection[str]) -> dict[str, object]:
    """Read a row's properties on their way into a file.

    Raises:
        DocumentError: They are not in their one spelling, or have a name that the schema has not.
    """
    found = decode_properties(row.key, row.properties)
    try:
        is_canonical = encode_properties(found) == row.properties
    except DocumentError:  # a number that JSON has, and no float64
        is_canonical = False
    if not is_canonical:
        raise DocumentError(f"the properties of the row {decode_key(row.key)} are not in their canonical form")
    if unknown := found.keys() - names:
        raise DocumentError(f"the row {decode_key(row.key)} has {min(unknown)[:60]!r}, which its schema doesn't name")
    return found


def rows_of(
    keys: Sequence[bytes],
    vectors: Sequence[tuple[str, Sequence[bytes | None]]],
    properties: Sequence[Sequence[str | None]],
) -> Rows:
    """Put a batch's columns together; vectors and properties stand in the order of their names."""
    joined = []
    for place, key in enumerate(keys):
        try:
            joined.append(join_properties(part for column in properties if (part := column[place]) is not None))
        except DocumentError as error:
            raise DocumentError(f"the row {decode_key(key)}: {error}", hint="correct it in the file") from error
    return Rows(keys, tuple(vectors), joined)
