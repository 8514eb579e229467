"""One web process: serves the inherited socket until it is told to stop, or its supervisor is gone."""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from regalia.core.errors import RegaliaError
from regalia_registry.adapters.board import Board
from regalia_registry.admin.exposing import expose
from regalia_registry.admin.inheriting import Descriptors
from regalia_registry.admin.logs import configure_logs
from regalia_registry.admin.supervisor import REPEAT_S
from regalia_registry.bootstrap.web import make_web
from regalia_registry.http.front import Front
from regalia_registry.services.sightings import Sightings
from regalia_registry.settings import load_settings

_ENDING_S = 2.0
_DEAF_S = 0.3  # from when nobody can connect any more until the port is closed: who has connected by then is accepted
_LINGER_S = 1.0
_NOTE_EVERY_S = 3.0

log = structlog.get_logger("regalia.web")


def main(data: Path, place: int, descriptors: Descriptors) -> None:
    """Serve, as the process of this place among those of the supervisor."""
    settings = load_settings(data=data)
    lasting_s = settings.drain_s + _DEAF_S + _LINGER_S + settings.grace_s
    threading.Thread(target=_stop_without_supervisor, args=(descriptors.alive, lasting_s), daemon=True).start()
    configure_logs(settings)
    web = make_web(settings, Board.inherited(descriptors.counts), place)
    app = web.app
    if descriptors.metrics is not None:
        expose(socket.socket(fileno=descriptors.metrics), web.page.registry())
    threading.Thread(target=_note_agents, args=(app.sightings,), name="sightings", daemon=True).start()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=settings.grace_s,
        backlog=2048,
    )
    with socket.socket(fileno=descriptors.service) as listening:
        _Draining(config, app, drain_s=settings.drain_s).run(sockets=[listening])


class _Draining(uvicorn.Server):
    """Told to stop, it says so first, and serves on for some seconds; told again a while later, it stops at once."""

    def __init__(self, config: uvicorn.Config, app: Front, *, drain_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._drain_s and self._stop_at is None:
            self._app.stop()
            self._stop_at = now + self._drain_s
        elif self._stop_at is None or now >= self._stop_at - self._drain_s + REPEAT_S / 2:  # else it is the same one
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._stop_at is not None:
            await asyncio.sleep(_DEAF_S)
            for server in self.servers:
                server.close()
            for listening in sockets or []:
                listening.close()
            await asyncio.sleep(_LINGER_S)  # a proxy that is refused lets go of idle connections before they are closed
        await super().shutdown(sockets)


def _note_agents(sightings: Sightings) -> None:
    is_told = False
    while True:
        time.sleep(_NOTE_EVERY_S)
        try:
            sightings.flush()
            is_told = False
        except RegaliaError as error:  # agents are answered all the same, and tell it again
            if not is_told:
                log.warning("agents are not noted", why=error.message)
            is_told = True


def _stop_without_supervisor(alive_fd: int, lasting_s: float) -> None:
    os.read(alive_fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(lasting_s + _ENDING_S)
    os._exit(1)  # the event loop hangs and nobody is left to kill it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Descriptors.parse(sys.argv[3]))
