"""What a worker process is, and the one beside the web processes of `reg serve`."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from regalia_registry.adapters.board import Board
from regalia_registry.admin.inheriting import Descriptors
from regalia_registry.admin.logs import configure_logs
from regalia_registry.bootstrap.worker import make_worker
from regalia_registry.ports.counting import Counts
from regalia_registry.settings import Settings, load_settings

_MALLOC = {-1: 16 * 1024 * 1024, -3: 8 * 1024 * 1024, -8: 1}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX
_NICE = 10  # beside web processes: what agents wait for comes first, and what takes long has the rest


def main(data: Path, place: int, descriptors: Descriptors) -> None:
    """Work for a supervisor, as the process of this place among its own."""
    stopping = threading.Event()
    os.nice(_NICE)  # before it starts an embedded engine, which is as patient
    threading.Thread(target=_stop_without_supervisor, args=(descriptors.alive, stopping), daemon=True).start()
    work(load_settings(data=data), Board.inherited(descriptors.counts).tally(place), stopping)


def work(settings: Settings, counts: Counts, stopping: threading.Event) -> None:
    """Work until a signal, or until somebody else says so."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    give_memory_back = _set_allocator()
    configure_logs(settings)
    make_worker(settings, stopping, counts, on_rest=give_memory_back).run()


def _set_allocator() -> Callable[[], None]:
    """Have one allocator keep what a snapshot frees by the thousand for its next block; gives what returns it all.

    Blocks of some megabytes that go back to the system at once are cleared by it anew: a quarter of a snapshot's CPU.
    Whole row groups do go back, since they would leave holes of 50 MB; a store for each thread would keep as much, and
    so would pyarrow's own.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its second thread spins: six times the CPU, and no time won
    library = ctypes.CDLL(None)
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return lambda: None  # other systems' libraries do without
    for option, value in _MALLOC.items():
        library.mallopt(option, value)
    return partial(library.malloc_trim, 0)


def _stop_without_supervisor(alive_fd: int, stopping: threading.Event) -> None:
    os.read(alive_fd, 1)
    stopping.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Descriptors.parse(sys.argv[3]))
