"""The same questions to a small registry and to a large one: lists, history and pointers must not slow down.

The rows are written straight into the database that `reg serve` then opens; the questions go over HTTP.
"""

import http.client
import sqlite3
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from urllib.parse import quote

from bench.table import Row
from regalia_cli.demo.stage import FILES
from regalia_registry.domain.order import sort_key
from tests.support.registries import Home, home

_VERSIONS = 100, 100_000
_POINTERS = 1_000, 1_000_000
_CHANNELS_EACH = 10
_HISTORY = 100
_ASKED = 300
_CHANNEL = "INSERT INTO channel (application, channel, pointer) VALUES (?, ?, ?)"
_ARTIFACT = (
    "INSERT INTO artifact (namespace, kind, name, version, sort_key, digest, fingerprint, pushed_at, manifest)"
    " VALUES ('acme', 'prompt', 'busy', ?, ?, ?, ?, '2026-01-01T00:00:00Z', ?)"
)
_NAME = "INSERT INTO artifact_name (namespace, kind, name) VALUES ('acme', 'prompt', ?)"
_POINTER = (
    "INSERT INTO pointer (identity, application, channel, sequence, bundle, version, stored_at, envelope)"
    " VALUES (?, ?, ?, ?, ?, '1.0.0', '2026-01-01T00:00:00Z', ?)"
)


def rows(folder: Path) -> Iterator[Row]:
    """Fill two registries, and ask both the same."""
    small = _asked(folder / "small", _VERSIONS[0], _POINTERS[0])
    large = _asked(folder / "large", _VERSIONS[1], _POINTERS[1])
    for what, is_pointer in _QUESTIONS.items():
        counts = _POINTERS if is_pointer else _VERSIONS
        us, them = large[what], small[what]
        yield Row(
            f"{what}, {counts[1]:,} against {counts[0]:,}",
            f"{us:.2f} ms",
            f"{them:.2f} ms (us, small)",
            f"{us / them:.1f} x",
            "≤ 2.5 x" if is_pointer else "≤ 2 x",
            "≤ 1.6 x" if is_pointer else "≤ 2 x",
        )


_VERSIONS_PAGE, _NAMES_PAGE = "list page of versions", "list page of names"
_CURRENT, _HISTORY_PAGE = "a channel's current pointer", "page of a channel's history"
_QUESTIONS = {_VERSIONS_PAGE: False, _NAMES_PAGE: False, _CURRENT: True, _HISTORY_PAGE: True}


def _asked(folder: Path, versions: int, pointers: int) -> dict[str, float]:
    """Give the median time of each question in milliseconds, asked all over the table."""
    folder.mkdir()
    with home(folder, files=FILES) as ours:
        ours.must("init", "acme/support-agent", "--registry", ours.url)
        ours.start()
        ours.must("bundle", "create", "1.0.0")
        ours.must("promote", "1.0.0", "--to", "prod")
        ours.stop()
        applications = pointers // (_CHANNELS_EACH * _HISTORY)
        _fill(folder / ".local/share/regalia/registry.db", versions, applications)
        ours.start()
        spread = range(0, versions, max(1, versions // _ASKED))
        places = [f"/v1/apps/acme/app-{one * applications // _ASKED}/channels/c{one % 10}" for one in range(_ASKED)]
        artifacts = "/v1/namespaces/acme/artifacts"
        return {
            _VERSIONS_PAGE: _timed(ours, [f"{artifacts}/prompt/busy?after={quote(_version(one))}" for one in spread]),
            _NAMES_PAGE: _timed(ours, [f"{artifacts}?after=prompt/busy-{one:06}" for one in spread]),
            _CURRENT: _timed(ours, places),
            _HISTORY_PAGE: _timed(ours, [f"{place}/history?after=50" for place in places]),
        }


def _fill(database: Path, versions: int, applications: int) -> None:
    with sqlite3.connect(database) as connection:
        [(envelope, bundle)] = connection.execute("SELECT envelope, bundle FROM pointer").fetchall()
        manifest = connection.execute("SELECT manifest FROM artifact LIMIT 1").fetchone()[0]
        connection.executemany(_ARTIFACT, (_artifact(one, manifest) for one in range(versions)))
        connection.executemany(_NAME, ((f"busy-{one:06}",) for one in range(versions)))
        connection.executemany(_POINTER, _pointers(applications, bundle, envelope))
        last = (
            (f"acme/app-{one}", f"c{two}", _hash(f"{one} {two} {_HISTORY}")) for one, two in _channels(applications)
        )
        connection.executemany(_CHANNEL, last)


def _channels(applications: int) -> Iterator[tuple[int, int]]:
    return ((one, two) for one in range(applications) for two in range(_CHANNELS_EACH))


def _pointers(applications: int, bundle: str, envelope: bytes) -> Iterator[tuple[object, ...]]:
    for one, two in _channels(applications):
        for sequence in range(1, _HISTORY + 1):
            identity = _hash(f"{one} {two} {sequence}")
            yield identity, f"acme/app-{one}", f"c{two}", sequence, bundle, envelope


def _artifact(number: int, manifest: bytes) -> tuple[object, ...]:
    version = _version(number)
    return version, sort_key(version), _hash(f"digest {number}"), _hash(f"fingerprint {number}"), manifest


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
