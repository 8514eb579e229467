"""What a form of files is: how a collection is found in one, read from it and written to it. And its head."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.strict_json import JsonObject, parse_object, write
from regalia_registry.domain.snapshots.distances import METRICS
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row
from regalia_registry.domain.snapshots.schema import MAX_SCHEMA, Schema

HEAD = "regalia"
MAX_HEAD = 2 * MAX_SCHEMA

_EDITION = 1
_METRIC = "cosine"


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says about itself: all of it where we made it, the metrics of its vectors where somebody else did."""

    schema: Schema | None = None
    mark: str = ""
    origin: Origin | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, body: bytes) -> "Head":
        """Read a head.

        Raises:
            DocumentError: It is none.
        """
        what = f'the file\'s "{HEAD}"'
        fields = Fields(parse_object(body, what=what, max_bytes=MAX_HEAD), what)
        if fields.integer("v") != _EDITION:
            raise DocumentError(f"{what} is of a later edition", hint="upgrade regalia")
        metrics = fields.child("metrics") if fields.has("metrics") else Fields({}, what)
        return cls(
            schema=Schema.parse(write(fields.child("schema").raw)) if fields.has("schema") else None,
            mark=fields.optional("mark", fields.text) or "",
            origin=Origin.parse(fields.child("origin")) if fields.has("origin") else None,
            metrics={name: metrics.text(name) for name in metrics.raw},
        )

    def written(self) -> bytes:
        """Write the head of a file of ours."""
        written: JsonObject = {"v": _EDITION, "mark": self.mark}
        if self.schema is not None:
            written["schema"] = parse_object(self.schema.written(), what="the schema", max_bytes=MAX_SCHEMA)
        if self.origin is not None:
            written["origin"] = self.origin.written()
        return write(written)

    def metric(self, name: str) -> str:
        """Give a vector's metric, cosine where nothing is said.

        Raises:
            DocumentError: There is no such metric.
        """
        found = self.metrics.get(name, _METRIC)
        if found not in METRICS:
            raise DocumentError(
                f'the metric of "{name}" is {found[:40]!r}', hint=f"one of {', '.join(METRICS)}, in the file's metrics"
            )
        return found


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a file; where `refusals` holds anything, it is no collection."""

    schema: Schema
    head: Head
    refusals: tuple[str, ...] = ()
    fidelity: tuple[str, ...] = ()


class Writer(Protocol):
    """Writes a file from its start to its end; it is closed before its file is."""

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows.

        Raises:
            DocumentError: A row that the form can't hold; the message names its key.
        """
        ...

    def append(self, file: BinaryIO) -> None:
        """Write all rows of a file that was written with the same head."""
        ...

    def close(self) -> None:
        """Write the end."""
        ...


class Form(Protocol):
    """One form of files."""

    def head(self, file: BinaryIO) -> tuple[Head, int | None]:
        """Read what a file says about itself, and how many rows it has where it says so.

        Raises:
            DocumentError: It is no file of this form.
        """
        ...

    def look(self, file: BinaryIO) -> Found:
        """Find what is in a file.

        Raises:
            DocumentError: It is no file of this form, or a row that is no row.
        """
        ...

    def batches(self, file: BinaryIO, schema: Schema) -> Iterator[Sequence[Row]]:
        """Read all rows, holding some megabytes at a time.

        Raises:
            DocumentError: A row that a snapshot can't hold; the message names its key.
        """
        ...

    def keys(self, file: BinaryIO, schema: Schema) -> Iterator[list[bytes]]:
        """Read the encoded keys alone."""
        ...

    def require(self, schema: Schema) -> None:
        """Check that a file of this form can hold the schema.

        Raises:
            UnsupportedError: Two of its names would be one.
        """
        ...

    def writer(self, file: BinaryIO, head: Head) -> Writer:
        """Begin a file whose head has a schema."""
        ...
