"""Keeping processes alive: start them, restart them with back-off, stop them all."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

PRIVATE = 0o077
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_HEALTHY_S = 30.0
_TICK_S = 0.1
REPEAT_S = 1.0  # signals that are nearer than this are one: systemd tells a supervisor and its processes at once


@dataclass(frozen=True, slots=True)
class Command:
    """What a process runs, and which descriptors it inherits: no port that it does not serve."""

    arguments: Sequence[str]
    inherits: tuple[int, ...]


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float = _FIRST_PAUSE_S
    restart_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """Runs a process of each command until it is told to stop.

    A command is given the read end of a pipe that closes when this process dies. Told to stop, it tells them, calls
    `on_drained` after `drain_s` seconds, and kills what has not ended `patience_s` seconds later. Told twice, it tells
    them again, and drains no longer.
    """

    commands: Sequence[Callable[[int], Command]]
    tell: Callable[[str], None]
    on_drained: Callable[[], None]
    drain_s: float
    patience_s: float
    _children: list[_Child] = field(default_factory=list)
    _asked: int = 0

    def run(self, *, ready: Callable[[], bool], on_ready: Callable[[], None]) -> int:
        """Start, watch and stop; returns the exit status: 0 after a signal, 1 where nothing ever got ready."""
        read_end, write_end = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        try:
            self._children = [self._start(command, read_end) for command in self.commands]
            is_ready = False
            while not self._asked:
                if not is_ready and ready():
                    is_ready = True
                    on_ready()
                if not self._tend(read_end) and not is_ready:
                    self.tell("the processes do not start; see the lines above")
                    return 1
                time.sleep(_TICK_S)
            return 0
        finally:
            self._stop_all()
            os.close(read_end)
            os.close(write_end)

    def _start(self, command: Callable[[int], Command], alive_fd: int) -> _Child:
        made = command(alive_fd)
        process = subprocess.Popen(  # noqa: S603 # our own command
            made.arguments,
            pass_fds=made.inherits,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which then lets the others drain
            umask=PRIVATE,
        )
        return _Child(process, time.monotonic())

    def _tend(self, alive_fd: int) -> bool:
        """Restart what ended; False once a process ended before it could have been healthy."""
        now, all_alive = time.monotonic(), True
        for place, child in enumerate(self._children):
            if child.process.poll() is None:
                continue
            if child.restart_at is None:
                all_alive = False
                pause_s = _FIRST_PAUSE_S if now - child.started > _HEALTHY_S else child.pause_s
                child.restart_at = now + pause_s
                child.pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                self.tell(f"a process ended ({child.process.returncode}); another starts in {pause_s:.1f} s")
            elif now >= child.restart_at:
                started = self._start(self.commands[place], alive_fd)
                started.pause_s = child.pause_s
                self._children[place] = started
        return all_alive

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1

    def _stop_all(self) -> None:
        self._tell_to_stop()
        self._await_drained()
        self.on_drained()
        self._await_ended(time.monotonic() + self.patience_s)
        for child in self._children:
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait()

    def _tell_to_stop(self) -> None:
        for child in self._children:
            if child.process.poll() is None:
                child.process.terminate()

    def _await_drained(self) -> None:
        """Wait for as long as they drain, or for a second signal, which is passed on."""
        began = time.monotonic()
        self._await_ended(began + self.drain_s, unless=lambda: self._asked > 1)
        if self._asked > 1 and time.monotonic() < began + self.drain_s:
            self._await_ended(began + REPEAT_S)
            self._tell_to_stop()

    def _await_ended(self, until: float, *, unless: Callable[[], bool] = lambda: False) -> None:
        while any(child.process.poll() is None for child in self._children):
            if time.monotonic() >= until or unless():
                return
            time.sleep(_TICK_S)
