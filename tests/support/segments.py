"""Segments outside a registry: a schema, its rows, and a folder that keeps what builds store."""

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

from regalia.core.digest import Digest
from regalia.core.kinds.snapshot import VectorSpace
from regalia_registry.domain.snapshots.rows import Row, Rows, encode_key, encode_properties, row_digests
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.segments.base import Base, BaseSegment
from regalia_registry.segments.build import Build, Built
from regalia_registry.segments.parquet import StoredSegment
from regalia_registry.segments.reading import dead_rows, live_rows

SCHEMA = Schema(
    Family.FILES,
    Property("id", "int"),
    KeyKind.INTEGER,
    (VectorSpace("body", 2, "cosine"), VectorSpace("title", 1, "l2")),
    (Property("text", "text"),),
    {},
)


def row(number: int, text: str = "", *, body: float = 0.5, has_title: bool = True) -> Row:
    vectors = [("body", struct.pack("<2f", body, -0.0)), ("title", struct.pack("<f", 1.0))]
    return Row(encode_key(number), tuple(vectors[: 2 if has_title else 1]), encode_properties({"text": text}))


def row_digest(row: Row) -> bytes:
    return row_digests(Rows.of([row]))[0]


class Kept:
    """A work folder whose segments outlive a build, as blobs do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[Digest, Path] = {}
        self.builds = 0

    def store(self, made: StoredSegment) -> None:
        for file in (made.keys, made.rows):
            self.files[file.digest] = Path(shutil.copy(file.path, self.folder / file.digest.hex))

    def build(self, rows: Sequence[Row], base: Built | None = None) -> Built:
        self.builds += 1
        folder = self.folder / f"build-{self.builds}"
        folder.mkdir()
        with Build(folder, SCHEMA, None if base is None else self.base(base), self.store) as build:
            for start in range(0, len(rows), 7):
                build.add(rows[start : start + 7])
            return build.finish()

    def base(self, built: Built) -> Base:
        return Base(
            [BaseSegment(one, self.files[one.keys], dead_rows(one, built.tombstones)) for one in built.listing.segments]
        )

    def rows(self, built: Built) -> list[Row]:
        batches = live_rows(SCHEMA, built.listing, built.tombstones, lambda segment: self.files[segment.rows])
        return sorted(row for batch in batches for row in batch)
