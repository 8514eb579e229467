"""What a web process is made of."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from regalia.core.errors import RegaliaError
from regalia_registry.adapters.board import Board
from regalia_registry.bootstrap.ports import make_ports
from regalia_registry.domain.series import FIXED, WORKER_BEAT, Layout
from regalia_registry.http.app import make_app
from regalia_registry.http.front import Front
from regalia_registry.http.health import Health
from regalia_registry.http.metrics import Page
from regalia_registry.http.probes import Probe
from regalia_registry.services.context import Ports
from regalia_registry.services.health import CHECKS, check_worker
from regalia_registry.services.watching import Watched, watch
from regalia_registry.settings import Settings

_WATCH_LIMIT_S = 5.0
_WATCHED_FOR_S = 5.0


@dataclass(frozen=True, slots=True)
class Web:
    """The service as an ASGI app, where it counts, and its page of metrics."""

    app: Front
    layout: Layout
    page: Page


def make_web(settings: Settings, board: Board | None = None, place: int = 0) -> Web:
    """Build the service on migrated storage; it counts at its place of the board, or for itself."""
    counted = Board.private() if board is None else board
    tally = counted.tally(place)
    ports = make_ports(settings, tally)

    checks = {name: partial(check, ports) for name, check in CHECKS.items()}
    health = Health({**checks, "worker": lambda: check_worker(ports, beat=_beat(counted))})
    made = make_app(
        ports,
        tally.cells,
        allowed_hosts=settings.allowed_hosts,
        max_blob_bytes=settings.max_blob_bytes,
        health=health,
    )
    return Web(made.front, made.layout, Page(made.layout, counted.stripes, _watching(ports)))


def _beat(board: Board) -> int | None:
    """Give when the worker beside this process last gave a sign, in seconds; None where there was none."""
    return FIXED.merged(board.stripes())[FIXED.cell(WORKER_BEAT)] or None


def _watching(ports: Ports) -> Callable[[], Watched | None]:
    """Look at the catalog for a scrape, within a limit; two scrapes within five seconds are told the same."""
    probe = Probe(lambda: (time.monotonic(), watch(ports)), limit_s=_WATCH_LIMIT_S)
    last: list[tuple[float, Watched]] = []

    def look() -> Watched | None:
        if not last or time.monotonic() - last[-1][0] > _WATCHED_FOR_S:
            try:
                last[:] = [probe.answer_here()]
            except RegaliaError:
                return None
        return last[-1][1]

    return look
