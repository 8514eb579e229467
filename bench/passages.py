"""A table of made-up passages with vectors, filled as fast as PostgreSQL takes it, and changed by 2.5 %."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

_BATCH = 5000
_BODY = 160
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)


@dataclass(frozen=True)
class Passages:
    """How many rows, of how many dimensions."""

    rows: int
    dims: int

    @property
    def raw_mb(self) -> float:
        """What the rows hold: key, text, vector."""
        return self.rows * (8 + _BODY + 4 * self.dims) / 1e6

    def fill(self, connection: psycopg.Connection) -> None:
        """Make the table `kb`."""
        table = f"CREATE TABLE kb (id bigint, body text NOT NULL, embedding vector({self.dims}))"
        connection.execute(table.encode())
        with connection.cursor() as cursor, cursor.copy("COPY kb FROM STDIN (FORMAT BINARY)") as copy:
            for block in self._blocks():
                copy.write(block)
        connection.execute("ALTER TABLE kb ADD PRIMARY KEY (id)")
        connection.execute("VACUUM ANALYZE kb")

    def churn(self, connection: psycopg.Connection) -> None:
        """Update 1 %, delete 0.5 %, insert 1 %."""
        connection.execute("UPDATE kb SET body = body || '!' WHERE id % 100 = 0")
        connection.execute("DELETE FROM kb WHERE id % 200 = 1")
        connection.execute("INSERT INTO kb SELECT id + %s, body, embedding FROM kb WHERE id %% 100 = 2", (self.rows,))

    def write(self, path: Path) -> None:
        """Write the table as a Parquet file, as pyarrow does unless it is told otherwise."""
        schema = pa.schema(
            [("id", pa.int64()), ("body", pa.string()), ("embedding", pa.list_(pa.float32(), self.dims))]
        )
        with pq.ParquetWriter(path, schema) as writer:
            for numbers, bodies, vectors in self._batches():
                flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.dims)
                writer.write_table(pa.table([pa.array(numbers), pa.array(bodies), flat], schema=schema))

    def _batches(self) -> Iterator[tuple[NDArray[np.int64], list[str], NDArray[np.float32]]]:
        random = np.random.default_rng(7)
        for start in range(0, self.rows, _BATCH):
            numbers = np.arange(start, min(start + _BATCH, self.rows))
            bodies = [(f"passage {number * 7919:032x}" + " words" * _BODY)[:_BODY] for number in numbers.tolist()]
            yield numbers, bodies, random.random((len(numbers), self.dims), np.float32)

    def _blocks(self) -> Iterator[bytes]:
        head = [("fields", ">i2"), ("key_bytes", ">i4"), ("key", ">i8"), ("body_bytes", ">i4"), ("body", f"S{_BODY}")]
        vector = [("vector_bytes", ">i4"), ("dims", ">i2"), ("unused", ">i2"), ("vector", ">f4", (self.dims,))]
        yield _HEAD
        for numbers, bodies, vectors in self._batches():
            block = np.zeros(len(numbers), [*head, *vector])
            block["fields"], block["key_bytes"], block["body_bytes"] = 3, 8, _BODY
            block["key"] = numbers
            block["body"] = bodies
            block["vector_bytes"], block["dims"] = 4 + 4 * self.dims, self.dims
            block["vector"] = vectors
            yield block.tobytes()
        yield b"\xff\xff"
