"""The numbers of all processes of one `reg serve`, in memory that they share: each writes its own, any reads all.

A process that dies loses no count, and the one that is started in its place counts on where it was.
"""

import mmap
import os
import sys
import tempfile
from pathlib import Path
from threading import Lock

STRIPE_CELLS = 8192  # more than any process lays out: 64 KiB
_CELL_BYTES = 8
_STRIPE_BYTES = STRIPE_CELLS * _CELL_BYTES


def make_memory(folder: Path, *, processes: int) -> int:
    """Make the memory of so many processes; gives a descriptor that they inherit and nothing else can open.

    Where the system has no memory without a name, it is a file in the folder, which is unlinked at once.
    """
    if sys.platform == "linux":
        descriptor = os.memfd_create("regalia-counts")
    else:
        with tempfile.TemporaryFile(dir=folder) as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, processes * _STRIPE_BYTES)
    return descriptor


class Tally:
    """A `Counts`: the cells of one process. `cells` is for who is alone in counting what it counts there."""

    def __init__(self, cells: memoryview) -> None:
        """Count on from what is there."""
        self.cells = cells
        self._lock = Lock()

    def add(self, cell: int, by: int = 1) -> None:
        """Count on."""
        with self._lock:
            self.cells[cell] += by

    def put(self, cell: int, value: int) -> None:
        """Replace a gauge's value."""
        self.cells[cell] = value


class Board:
    """All cells, a stripe a process."""

    def __init__(self, memory: mmap.mmap) -> None:
        """Look at the memory as numbers."""
        self._cells = memoryview(memory).cast("Q")

    @classmethod
    def private(cls) -> "Board":
        """Make one of a process that shares it with none."""
        return cls(mmap.mmap(-1, _STRIPE_BYTES))

    @classmethod
    def inherited(cls, descriptor: int) -> "Board":
        """Open the memory that a supervisor made."""
        return cls(mmap.mmap(descriptor, os.fstat(descriptor).st_size))

    def tally(self, place: int) -> Tally:
        """Give the cells of a process by its place among them."""
        return Tally(self._cells[place * STRIPE_CELLS : (place + 1) * STRIPE_CELLS])

    def stripes(self) -> list[list[int]]:
        """Read the numbers of all."""
        numbers = self._cells.tolist()
        return [numbers[start : start + STRIPE_CELLS] for start in range(0, len(numbers), STRIPE_CELLS)]
