"""Looking at processes: CPU seconds, memory, and how long a fresh one takes."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

_TICKS = os.sysconf("SC_CLK_TCK")


def children(pid: int, *, running: str = "") -> list[int]:
    """List what a process has started and what still runs, of them those whose command holds these words."""
    commands = {int(word): _read(int(word), "cmdline") for word in _read(pid, f"task/{pid}/children").split()}
    return [child for child, command in commands.items() if command and running in command]


def family(pid: int) -> list[int]:
    """List a process and all that descend from it."""
    return [pid, *(one for child in children(pid) for one in family(child))]


def _read(pid: int, name: str) -> str:
    """Read what Linux says of a process: nothing of one that ended, which it may at any moment."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cpu_s(pids: Sequence[int]) -> float:
    """Add up the CPU time of processes, in seconds."""
    spent = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / _TICKS


def rss_mb(pid: int) -> float:
    """Give a process's resident memory in megabytes (10^6)."""
    return _status_mb(pid, "VmRSS")


def peak_rss_mb(pid: int) -> float:
    """Give the most that a process had resident since it started, in megabytes."""
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int, name: str) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


def fresh_ms(command: Sequence[str], *, environment: Mapping[str, str], cwd: Path, times: int = 9) -> float:
    """Give the median wall time of a fresh process, in milliseconds, after one that warms the disk."""
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run(command, env=dict(environment), cwd=cwd, check=True, capture_output=True)
        found.append((time.perf_counter() - began) * 1e3)
    return median(found[1:])
