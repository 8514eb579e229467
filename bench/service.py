"""What the service costs to run, and how fast one author publishes."""

import time

from bench import mlflow
from bench.processes import family, rss_mb
from bench.table import Row
from regalia import publishing
from regalia.client import Client
from regalia.core.kinds.prompt import PromptConfig
from regalia.core.names import Kind, Slot
from regalia.sources import Draft
from tests.support.registries import Home

_VERSIONS = 200


def rows(ours: Home, theirs: mlflow.Peer, start_s: float) -> list[Row]:
    """Measure publishing, memory and the start."""
    assert ours.server is not None
    published = published_per_s(Client(environment=ours.environment, folder=ours.project))
    their_published = theirs.publish_per_s()
    mine = [rss_mb(pid) for pid in family(ours.server.pid)]
    peers = sum(rss_mb(pid) for pid in theirs.processes())
    return [
        Row(
            "durable publish, one client, over HTTP (two blobs and a manifest each)",
            f"{published:.0f}/s",
            f"{their_published:.0f}/s",
            f"{published / their_published:.0f} x",
            "5 x",
            "15 x",
        ),
        Row("memory of a web process", f"{max(mine):.0f} MB", must="≤ 120 MB", goal="≤ 80 MB"),
        Row(
            "memory of all of the service",
            f"{sum(mine):.0f} MB",
            f"{peers:,.0f} MB",
            f"1/{peers / sum(mine):.0f}",
            "≤ 400 MB",
            "≤ 250 MB",
        ),
        Row("start until it answers", f"{start_s:.1f} s", must="≤ 3 s", goal="≤ 1.5 s"),
    ]


def published_per_s(client: Client) -> float:
    """Say how many new versions a second one author pushes."""
    drafts = [_draft(number) for number in range(_VERSIONS)]
    began = time.perf_counter()
    publishing.push(client, "acme", drafts)
    return _VERSIONS / (time.perf_counter() - began)


def _draft(number: int) -> Draft:
    config = PromptConfig("busy", f"1.0.{number}", "none", template=str(number))
    content = {"busy.txt": ("text/plain", str(number).encode())}
    return Draft(Slot(Kind.PROMPT, "busy"), config, content, origin="bench", has_version=True)
