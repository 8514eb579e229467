"""The same questions to a small registry and to a large one: lists, history and pointers must not slow down.

The rows are written straight into the database that `reg serve` then opens, SQLite's and PostgreSQL's; the questions go
over HTTP. `REGALIA_BENCH_ROWS` sets how many names, versions and pointers a large one has.
"""

import http.client
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import quote

import psycopg
from psycopg import sql

from bench.table import Row
from regalia_cli.demo.stage import FILES
from regalia_registry.domain.order import sort_key
from tests.servers import postgres
from tests.support.registries import Home, home


class _Size(NamedTuple):
    """How many versions of an artifact, names beside it, and pointers."""

    versions: int
    pointers: int


_ROWS = int(os.environ.get("REGALIA_BENCH_ROWS", "0"))
_SMALL = _Size(100, 1_000)
_LARGE = _Size(_ROWS or 100_000, _ROWS or 1_000_000)
_CHANNELS_EACH = 10
_HISTORY = 100
_ASKED = 300
_STORED_AT = "2026-01-01T00:00:00Z"
_COLUMNS = {
    "artifact": (
        "namespace",
        "kind",
        "name",
        "version",
        "sort_key",
        "digest",
        "fingerprint",
        "pushed_at",
        "manifest",
    ),
    "artifact_name": ("namespace", "kind", "name"),
    "pointer": ("identity", "application", "channel", "sequence", "bundle", "version", "stored_at", "envelope"),
    "channel": ("application", "channel", "pointer"),
}


def rows(folder: Path) -> Iterator[Row]:
    """Fill two registries on each database, and ask all the same."""
    (folder / "server").mkdir()
    with postgres.running(folder / "server") as server:
        catalogs = postgres.Catalogs(server)
        yield from _compared(folder / "sqlite", "SQLite", ("", ""))
        yield from _compared(folder / "postgresql", "PostgreSQL", (catalogs.make(), catalogs.make()))


def _compared(folder: Path, name: str, databases: tuple[str, str]) -> Iterator[Row]:
    folder.mkdir()
    small, large = (
        _asked(folder / f"{size.pointers}", size, database)
        for size, database in zip((_SMALL, _LARGE), databases, strict=True)
    )
    for what, is_pointer in _QUESTIONS.items():
        counts = [size.pointers if is_pointer else size.versions for size in (_LARGE, _SMALL)]
        us, them = large[what], small[what]
        yield Row(
            f"{what} on {name}, {counts[0]:,} against {counts[1]:,}",
            f"{us:.2f} ms",
            f"{them:.2f} ms (us, small)",
            f"{us / them:.1f} x",
            "≤ 2.5 x" if is_pointer else "≤ 2 x",
            "≤ 1.6 x" if is_pointer else "≤ 2 x",
        )


_VERSIONS_PAGE, _NAMES_PAGE = "list page of versions", "list page of names"
_CURRENT, _HISTORY_PAGE = "a channel's current pointer", "page of a channel's history"
_QUESTIONS = {_VERSIONS_PAGE: False, _NAMES_PAGE: False, _CURRENT: True, _HISTORY_PAGE: True}


def _asked(folder: Path, size: _Size, database: str) -> dict[str, float]:
    """Give the median time of each question in milliseconds, asked all over the table."""
    folder.mkdir()
    with home(folder, files=FILES) as ours:
        ours.more |= {"REGALIA_SERVER_DATABASE": database} if database else {}
        ours.must("init", "acme/support-agent", "--registry", ours.url)
        ours.start("--no-worker")
        ours.must("bundle", "create", "1.0.0")
        ours.must("promote", "1.0.0", "--to", "prod")
        ours.stop()
        _fill(folder, database, size)
        ours.start("--no-worker")
        versions, applications = size.versions, size.pointers // (_CHANNELS_EACH * _HISTORY)
        spread = range(0, versions, max(1, versions // _ASKED))
        places = [f"/v1/apps/acme/app-{one * applications // _ASKED}/channels/c{one % 10}" for one in range(_ASKED)]
        artifacts = "/v1/namespaces/acme/artifacts"
        return {
            _VERSIONS_PAGE: _timed(ours, [f"{artifacts}/prompt/busy?after={quote(_version(one))}" for one in spread]),
            _NAMES_PAGE: _timed(ours, [f"{artifacts}?after=prompt/{_name(one)}" for one in spread]),
            _CURRENT: _timed(ours, places),
            _HISTORY_PAGE: _timed(ours, [f"{place}/history?after=50" for place in places]),
        }


def _fill(folder: Path, database: str, size: _Size) -> None:
    if database:
        with psycopg.connect(postgres.plain(database), autocommit=True) as connection, connection.transaction():
            kept = connection.execute(_KEPT).fetchone()
            for table, found in _tables(size, kept):
                copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
                    sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, _COLUMNS[table]))
                )
                with connection.cursor().copy(copy) as copying:
                    for row in found:
                        copying.write_row(row)
        with psycopg.connect(postgres.plain(database), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        return
    with closing(sqlite3.connect(folder / ".local/share/regalia/registry.db")) as file, file:
        kept = file.execute(_KEPT).fetchone()
        for table, found in _tables(size, kept):
            columns = _COLUMNS[table]
            places = ", ".join("?" * len(columns))
            file.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", found)  # noqa: S608 # names of this file


_KEPT = "SELECT envelope, bundle, (SELECT manifest FROM artifact LIMIT 1) FROM pointer"


def _tables(size: _Size, kept: tuple[bytes, str, bytes] | None) -> Iterator[tuple[str, Iterable[tuple[object, ...]]]]:
    """Give the rows of each table, which look like the one that is there."""
    assert kept is not None
    envelope, bundle, manifest = kept
    applications = size.pointers // (_CHANNELS_EACH * _HISTORY)
    yield "artifact", (_artifact(one, manifest) for one in range(size.versions))
    yield "artifact_name", (("acme", "prompt", _name(one)) for one in range(size.versions))
    yield "pointer", _pointers(applications, bundle, envelope)
    yield (
        "channel",
        ((f"acme/app-{one}", f"c{two}", _hash(f"{one} {two} {_HISTORY}")) for one, two in _channels(applications)),
    )


def _channels(applications: int) -> Iterator[tuple[int, int]]:
    return ((one, two) for one in range(applications) for two in range(_CHANNELS_EACH))


def _pointers(applications: int, bundle: str, envelope: bytes) -> Iterator[tuple[object, ...]]:
    for one, two in _channels(applications):
        for sequence in range(1, _HISTORY + 1):
            identity = _hash(f"{one} {two} {sequence}")
            yield identity, f"acme/app-{one}", f"c{two}", sequence, bundle, "1.0.0", _STORED_AT, envelope


def _artifact(number: int, manifest: bytes) -> tuple[object, ...]:
    version = _version(number)
    digest, fingerprint = _hash(f"digest {number}"), _hash(f"fingerprint {number}")
    return "acme", "prompt", "busy", version, sort_key(version), digest, fingerprint, _STORED_AT, manifest


def _name(number: int) -> str:
    return f"busy-{number:07}"


def _version(number: int) -> str:
    return f"1.{number // 1000}.{number % 1000}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _timed(ours: Home, paths: Sequence[str]) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", ours.port)
    found = []
    for path in paths:
        began = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {ours.token}"})
        response = connection.getresponse()
        told = response.read()
        found.append((time.perf_counter() - began) * 1e3)
        assert response.status == 200, told
    return median(found)
