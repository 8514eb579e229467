"""Answers older than a move that was acknowledged before they were asked for: two replicas on one PostgreSQL."""

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from bench import load
from bench.table import Row
from regalia import moving
from regalia.client import Client
from regalia.core.digest import Digest
from regalia.core.references import BundleReference
from regalia.core.values import replace
from tests.support import releases
from tests.support.crash_stores import on_servers
from tests.support.mixed import RESOLVE, sequence_of
from tests.support.registries import Home, replica
from tests.support.releases import APPLICATION, CHANNEL
from tests.support.stages import staged

_RESOLVES = int(os.environ.get("REGALIA_BENCH_RESOLVES", "100000"))
_PROCESSES, _CONNECTIONS = 2, 2  # of each process, half of them to each replica
_MOVES_PER_S = 50
_NICE = 10  # of whoever asks: what counts is how many moves the answers lie between
_VERSIONS = "1.0.0", "1.1.0"
_AT_ONCE = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Asked:
    """What one process saw; `pointers` is how many different ones."""

    resolves: int
    stale: int
    pointers: int


def rows() -> Iterator[Row]:
    """Move the channel while both replicas are asked without pause."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        on_servers(Path(folder)) as stores,
        staged(Path(folder), "--no-worker", snapshots=False, settings=stores.settings) as one,
        replica(one) as other,
    ):
        other.start("--no-worker")
        yield _measured(one, other)


def _measured(one: Home, other: Home) -> Row:
    client = Client(environment=one.environment, folder=one.project)
    for version in _VERSIONS:
        releases.release(client, releases.push(client, version))
    acknowledged = _AT_ONCE.Value("Q", releases.promote(client, _VERSIONS[0]).pointer.sequence)
    found: SimpleQueue[Asked] = _AT_ONCE.SimpleQueue()
    asking = [
        _AT_ONCE.Process(target=_ask, args=([one.port, other.port], one.token, acknowledged, found), daemon=True)
        for _ in range(_PROCESSES)
    ]
    began = time.perf_counter()
    for process in asking:
        process.start()
    moves = _move(client, acknowledged, asking)
    asked = [found.get() for _ in asking]
    spent_s = time.perf_counter() - began
    resolves, stale = sum(each.resolves for each in asked), sum(each.stale for each in asked)
    what = (
        f"resolves older than a move acknowledged before they were sent, of {resolves:,} ({resolves / spent_s:,.0f}/s) "
        f"through two replicas on PostgreSQL, while their channel moved {moves:,} times ({moves / spent_s:.0f}/s)"
    )
    return Row(what, f"{stale}; {max(each.pointers for each in asked):,} pointers were seen", must="0")


def _move(client: Client, acknowledged: "Synchronized[int]", asking: Sequence[BaseProcess]) -> int:
    """Promote one bundle after the other until nobody asks any more; gives how often, the most that is allowed."""
    to = BundleReference(APPLICATION, version=_VERSIONS[1])
    plan = moving.plan_promote(client, CHANNEL, to, moving.Facts())
    signer, bundles, moves = moving.channel_signer(client, CHANNEL), _bundles(client), 0
    began = time.perf_counter()
    while any(process.is_alive() for process in asking):
        moved = moving.execute(client, plan, signer).pointer
        acknowledged.value = moved.sequence
        moves += 1
        pointer = replace(
            plan.pointer,
            sequence=moved.sequence + 1,
            bundle=bundles[moves % len(bundles)],
            previous=Digest.parse(moved.digest),
            fallbacks=(),
        )
        plan = replace(plan, pointer=pointer)
        time.sleep(max(0.0, began + moves / _MOVES_PER_S - time.perf_counter()))
    return moves


def _bundles(client: Client) -> list[Digest]:
    found = [client.refresh(f"{APPLICATION}@{version}").digest for version in reversed(_VERSIONS)]
    return [Digest.parse(digest) for digest in found]


def _ask(ports: Sequence[int], token: str, acknowledged: "Synchronized[int]", found: "SimpleQueue[Asked]") -> None:
    os.nice(_NICE)
    found.put(asyncio.run(_ask_all(ports, token, acknowledged)))


async def _ask_all(ports: Sequence[int], token: str, acknowledged: "Synchronized[int]") -> Asked:
    each, seen = _RESOLVES // _PROCESSES // _CONNECTIONS, list[int]()
    asking = (_ask_one(ports[n % len(ports)], token, each, acknowledged, seen) for n in range(_CONNECTIONS))
    stale = sum(await asyncio.gather(*asking))
    return Asked(each * _CONNECTIONS, stale, len(set(seen)))


async def _ask_one(port: int, token: str, times: int, acknowledged: "Synchronized[int]", seen: list[int]) -> int:
    """Ask one replica over one connection; gives how often it was behind what was acknowledged, or seen by anybody."""
    request = load.request_of(RESOLVE, port, token)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stale = 0
    for _ in range(times):
        floor = max(acknowledged.value, seen[-1] if seen else 0)
        writer.write(request)
        found = sequence_of(await load.answer(reader))
        stale += found < floor
        seen.append(max(found, seen[-1] if seen else 0))
    writer.close()
    return stale
