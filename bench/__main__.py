"""`python -m bench [GROUP…]`: measure us and the peers on this machine in this run, and print the table of ratios."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import (
    agent,
    blobs,
    follow,
    growth,
    mlflow,
    postgresql,
    resolve,
    restores,
    s3,
    service,
    snapshots,
    stale,
    weaviate,
)
from bench.table import HEAD, Row
from regalia_cli.demo.stage import FILES, free_port
from tests.support.registries import Home, home


def main() -> None:
    """Measure the groups that are named, or all, and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what users install is compiled; the peer's environment is too
    unknown = [name for name in sys.argv[1:] if name not in _GROUPS]
    if unknown:
        sys.exit(f"unknown group: {', '.join(unknown)}; one of {', '.join(_GROUPS)}")
    for head in HEAD:
        print(head)
    for name in sys.argv[1:] or _GROUPS:
        for row in _GROUPS[name]():
            print(row, flush=True)


@contextmanager
def _ours() -> Iterator[tuple[Home, float]]:
    """Start a registry with a bundle in prod; gives how long the start took, in seconds, the disk being warm."""
    with tempfile.TemporaryDirectory() as folder, home(Path(folder), files=FILES) as ours:
        ours.must("init", "acme/support-agent", "--registry", ours.url)
        ours.start(workers=2)
        ours.stop()
        began = time.perf_counter()
        ours.start(workers=2)
        start_s = time.perf_counter() - began
        ours.must("bundle", "create", "1.0.0")
        ours.must("promote", "1.0.0", "--to", "prod")
        yield ours, start_s


def _beside_mlflow() -> Iterator[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        theirs = stack.enter_context(mlflow.running(folder, free_port()))
        ours, start_s = stack.enter_context(_ours())
        yield from resolve.rows(ours, theirs)
        yield from agent.rows(ours, theirs)
        yield from service.rows(ours, theirs, start_s)


def _blobs() -> Iterator[Row]:
    with _ours() as (ours, _):
        yield from blobs.rows(ours)


def _follow() -> Iterator[Row]:
    with _ours() as (ours, _):
        yield from follow.rows(ours)


def _growth() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        yield from growth.rows(Path(folder))


_GROUPS: dict[str, Callable[[], Iterator[Row]]] = {
    "mlflow": _beside_mlflow,
    "blobs": _blobs,
    "follow": _follow,
    "growth": _growth,
    "snapshots": snapshots.rows,
    "weaviate": weaviate.rows,
    "restores": restores.rows,
    "s3": s3.rows,
    "postgresql": postgresql.rows,
    "stale": stale.rows,
}


if __name__ == "__main__":
    main()
