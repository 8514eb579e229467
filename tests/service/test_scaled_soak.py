"""Load of every kind on two replicas, PostgreSQL and S3, of which one is struck every five seconds: nothing is lost.

`make soak MINUTES=10` runs it as long as that, the suite for a minute in CI and 20 s elsewhere; `REGALIA_SEED` says who
is struck. What was seen, which errors among it, is printed.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from bench.processes import rss_mb
from regalia import administration
from regalia.client import Client
from regalia.wire.answers import ArtifactEntry, AuditEntry
from tests.support.clusters import Cluster, cluster
from tests.support.mixed import Book, Load, read
from tests.support.releases import APPLICATION, CHANNEL

SEED = int(os.environ.get("REGALIA_SEED", "0")) or random.randrange(1, 2**31)  # noqa: S311 # who is struck guards nothing
DEFAULT_MINUTES = 1 if os.environ.get("CI") == "true" else 1 / 3
SECONDS = 60 * float(os.environ.get("REGALIA_SOAK_MINUTES") or DEFAULT_MINUTES)
EVERY_S = 5.0
MAX_READ = 300
MAX_GROWTH = 1.05 if SECONDS >= 600 else 1.35  # of the second quarter, by the last: caches fill at first


def struck(served: Cluster) -> tuple[Counter[str], list[float]]:
    """Strike as long as it lasts, then wait until all is whole; gives what happened, and the memory meanwhile."""
    chance, strikes = random.Random(SEED), served.strikes  # noqa: S311 # no secret
    happened: Counter[str] = Counter()
    spared, memory = served.web_processes, list[float]()
    ends_at = time.monotonic() + SECONDS
    while (next_at := time.monotonic() + EVERY_S) < ends_at + EVERY_S:
        memory.append(mean(map(rss_mb, spared)))
        name = chance.choice(sorted(strikes))
        strikes[name](chance)
        happened[name] += 1
        time.sleep(max(0.0, next_at - time.monotonic()))
    served.await_whole()
    time.sleep(EVERY_S)
    assert served.web_processes == spared
    return happened, [*memory, mean(map(rss_mb, spared))]


def growth(memory: Sequence[float]) -> float:
    quarter = max(1, len(memory) // 4)
    return mean(memory[-quarter:]) / mean(memory[quarter : 2 * quarter])


def test_what_was_acknowledged_survives_whoever_is_struck_and_nobody_is_told_anything_older(tmp_path: Path) -> None:
    print(f"\nseed {SEED}: {SECONDS:.0f} s")  # noqa: T201 # how to repeat it
    with cluster(tmp_path) as served:
        load = Load(served.replicas[0], served.urls, (*served.replicas, served.spared), seed=SEED)
        with load as book:
            happened, memory = struck(served)
        asked = [load.client(f"late-{made.port}", made.url) for made in served.replicas]
        kept = [kept_of(client, book) for client in asked]
        ended = [host.ended for host in served.hosts]
    print(  # noqa: T201 # the outcome
        f"{sum(happened.values())} strikes {json.dumps(happened)}\nseen {json.dumps(dict(sorted(book.seen.items())))}\n"
        f"{len(book.stale)} stale, {len(book.faults)} faults, memory {min(memory):.0f} to {max(memory):.0f} MB, "
        f"the last quarter {growth(memory):.3f} of the second\n{book.stale[:5]} {book.faults[:5]}"
    )

    assert book.seen["move: acknowledged"] > 0
    assert kept == [[], []]
    assert (book.stale, book.faults) == ([], [])
    assert "Traceback" not in (tmp_path / "worker.log").read_text()
    assert ended == [0] * len(ended)
    assert growth(memory) < MAX_GROWTH


def kept_of(client: Client, book: Book) -> list[str]:
    """Compare what a replica has with what was acknowledged; gives what differs."""
    pages, prompts = client.registry.pages, {prompt for prompt, _ in book.pushed}
    entries = {
        (prompt, one.version): one.digest
        for prompt in prompts
        for one in pages(ArtifactEntry, f"/v1/namespaces/acme/artifacts/prompt/{prompt}")
    }
    history = [one.sequence for one in administration.history(client, CHANNEL)]
    bundles = [one.version for one in administration.list_bundles(client, APPLICATION)]
    events = Counter(one.event for one in pages(AuditEntry, "/v1/audit"))
    for one in random.Random(SEED).sample(list(book.pushed.values()), min(MAX_READ, len(book.pushed))):  # noqa: S311
        read(client, one)
    agreeing: dict[str, tuple[object, object]] = {
        "artifacts": (entries, {name: one.digest for name, one in book.pushed.items()}),
        "bundles": (sorted(bundles), sorted(book.released)),
        "pointers": (history, sorted(book.moved, reverse=True)),
        "their audit": (
            (events["artifact.pushed"], events["bundle.released"], events["channel.moved"], events["channel.refused"]),
            (len(entries), len(bundles), len(history), 0),
        ),
    }
    served = client.refresh(str(CHANNEL)).pointer
    agreeing["what is served"] = None if served is None else served.sequence, history[0]
    return [f"{name}: {found} instead of {wanted}" for name, (found, wanted) in agreeing.items() if found != wanted]
