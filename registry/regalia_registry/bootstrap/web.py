"""What a web process is made of."""

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
from regalia_registry.http.probes import Kept, Probe
from regalia_registry.services.context import Ports
from regalia_registry.services.health import check_blobs, check_database, check_trust, check_worker, check_writing
from regalia_registry.services.watching import Watched, watch
from regalia_registry.settings import Settings

_WATCH_LIMIT_S = 5.0
_WATCHED_FOR_S = 5.0
_WRITABLE_FOR_S = 30.0  # looking takes the turn of a writer


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

    health = Health(
        {
            "database": partial(check_database, ports),
            "writing": Kept(partial(check_writing, ports), for_s=_WRITABLE_FOR_S),
            "blobs": partial(check_blobs, ports),
            "trust": partial(check_trust, ports),
            "worker": lambda: check_worker(ports, beat=_beat(counted)),
        }
    )
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
    """Look at the catalog for a scrape, within a limit; scrapes within five seconds are told the same."""
    probe = Probe(Kept(partial(watch, ports), for_s=_WATCHED_FOR_S), limit_s=_WATCH_LIMIT_S)

    def look() -> Watched | None:
        try:
            return probe.answer_here()
        except RegaliaError:
            return None

    return look
