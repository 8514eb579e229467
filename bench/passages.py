"""A table of made-up passages with vectors, filled as fast as PostgreSQL takes it, and changed by 2.5 %."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psycopg

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

    def _blocks(self) -> Iterator[bytes]:
        random = np.random.default_rng(7)
        head = [("fields", ">i2"), ("key_bytes", ">i4"), ("key", ">i8"), ("body_bytes", ">i4"), ("body", f"S{_BODY}")]
        vector = [("vector_bytes", ">i4"), ("dims", ">i2"), ("unused", ">i2"), ("vector", ">f4", (self.dims,))]
        yield _HEAD
        for start in range(0, self.rows, _BATCH):
            numbers = np.arange(start, min(start + _BATCH, self.rows))
            block = np.zeros(len(numbers), [*head, *vector])
            block["fields"], block["key_bytes"], block["body_bytes"] = 3, 8, _BODY
            block["key"] = numbers
            block["body"] = [
                (f"passage {number * 7919:032x}" + " words" * _BODY)[:_BODY] for number in numbers.tolist()
            ]
            block["vector_bytes"], block["dims"] = 4 + 4 * self.dims, self.dims
            block["vector"] = random.random((len(numbers), self.dims), np.float32)
            yield block.tobytes()
        yield b"\xff\xff"
