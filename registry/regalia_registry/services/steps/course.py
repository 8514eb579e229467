"""The course of a move: its steps, what the next worker does where one died in them, and what giving up leaves.

Each edge of each step is logged; a crash is tested before and after every one of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

log = structlog.get_logger("regalia.course")


@dataclass(frozen=True, slots=True)
class Step:
    """A step: `replay` is what the next worker does where one was killed in it, `undo` what giving up leaves of it."""

    name: str
    replay: str
    undo: str


PLAN = Step("plan", "planned anew", "nothing")
CREATE = Step("create", "it is there with our mark: go on", "dropped")
LOAD = Step("load", "from the target's cursor, or the journal's", "dropped")
INDEX = Step("index", "what is whole stays, the rest is built", "dropped")
SEAL = Step("seal", "said again", "dropped")
VERIFY = Step("verify", "read again", "kept, warm, once it is proved")
OPEN = Step("open", "said again", "kept, and retired in time")
OFFER = Step("offer", "looked at again", "kept, warm")
COMMIT = Step("commit", "the whole transaction, or none of it", "never: a move back is another move")
ALIASES = Step("aliases", "set again, for ever", "never")
LEFTOVER = Step("leftover", "sealed and read again; what was stored is not stored again", "never")

COURSE = (PLAN, CREATE, LOAD, INDEX, SEAL, VERIFY, OPEN, OFFER, COMMIT, ALIASES, LEFTOVER)


@contextmanager
def crossing(step: Step, operation: str) -> Iterator[None]:
    """Go through a step."""
    log.info("step begun", step=step.name, operation=operation)
    yield
    log.info("step ended", step=step.name, operation=operation)
