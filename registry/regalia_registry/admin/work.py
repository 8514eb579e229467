"""One worker process: `reg worker`, or beside the web processes of `reg serve`."""

import ctypes
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from regalia.core.errors import ConfigurationError
from regalia.places import data_folder
from regalia_registry.adapters.board import Board
from regalia_registry.adapters.sql.migrate import check
from regalia_registry.admin.exposing import expose
from regalia_registry.admin.inheriting import Descriptors
from regalia_registry.admin.listening import listen
from regalia_registry.admin.logs import configure_logs
from regalia_registry.admin.supervisor import PRIVATE
from regalia_registry.bootstrap.worker import make_worker
from regalia_registry.domain.series import FIXED
from regalia_registry.http.metrics import Page
from regalia_registry.ports.counting import Counts
from regalia_registry.settings import Settings, load_settings

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_NICE = 10  # beside web processes: what agents wait for comes first, and what takes long has the rest
_LARGE_BYTES, _KEPT_BYTES = 1024 * 1024, 1024 * 1024  # row groups and pages, and not the buffers of each batch


def worker(*, data: Path | None) -> int:
    """Do the operations of a data folder's registry until a signal; returns the exit status.

    Raises:
        ConfigurationError: Nothing was served from the folder yet, a setting is wrong, or a library is not installed.
    """
    folder = (data or data_folder(os.environ)).absolute()
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigurationError("a worker needs pyarrow", hint="pip install 'regalia[server,snapshots]'")
    if not folder.is_dir():
        raise ConfigurationError(f'"{folder}" is no data folder', hint="reg serve makes one at its first start")
    settings = load_settings(data=folder)
    check(settings.database_url)
    os.umask(PRIVATE)
    board = Board.private()
    if settings.metrics_port:
        listening = listen(settings.metrics_host, settings.metrics_port, option="REGALIA_SERVER_METRICS_PORT")
        expose(listening, Page(FIXED, board.stripes, None).registry())
    _work(settings, board.tally(0), threading.Event())
    return 0


def main(data: Path, place: int, descriptors: Descriptors) -> None:
    """Work for a supervisor, as the process of this place among its own."""
    stopping = threading.Event()
    os.nice(_NICE)  # before it starts an embedded engine, which is as patient
    threading.Thread(target=_stop_without_supervisor, args=(descriptors.alive, stopping), daemon=True).start()
    _work(load_settings(data=data), Board.inherited(descriptors.counts).tally(place), stopping)


def _work(settings: Settings, counts: Counts, stopping: threading.Event) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    _give_memory_back()
    configure_logs(settings)
    make_worker(settings, stopping, counts).run()


def _give_memory_back() -> None:
    """Have large blocks returned to the system when they are freed: a snapshot makes them by the thousand.

    glibc keeps ever larger ones otherwise, and pyarrow's own allocator all of them: 50 MB after a few snapshots.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its second thread spins: six times the CPU, and no time won
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # other systems' libraries do without
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        set_option(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _stop_without_supervisor(alive_fd: int, stopping: threading.Event) -> None:
    os.read(alive_fd, 1)
    stopping.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Descriptors.parse(sys.argv[3]))
