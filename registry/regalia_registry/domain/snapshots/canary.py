"""The canary of a snapshot: some of its own vectors as questions, and the rows that are nearest to each, exactly.

What an index gives to the same questions says how many of the nearest rows it finds: its recall. None of it is content.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from regalia.core.errors import DocumentError
from regalia_registry.domain.snapshots.rows import MAX_KEY
from regalia_registry.domain.snapshots.schema import Schema

ANSWERS = 10  # of so many nearest rows, recall counts those that an index finds
QUESTIONS = 64
MIN_QUESTIONS = 32
KEPT = 40  # nearest rows of a question, so that its ten are still known when some of them are gone
MAX_CANARY = 16 * 1024 * 1024

_FLOAT_BYTES = 4
_ROUNDING = 1e-6  # engines measure in float32


class Neighbour(NamedTuple):
    """A near row."""

    distance: float
    key: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """The vector of a row of the snapshot, and the other rows that are nearest to it, nearest first and then by key.

    `near` names every row whose distance is less than `reach`. `found` says how many of the ten nearest the source's
    own index gave, None where it was not asked.
    """

    space: str
    key: bytes
    vector: bytes
    near: tuple[Neighbour, ...] = ()
    reach: float = math.inf
    found: int | None = None

    @property
    def wanted(self) -> int:
        """How many rows an answer should name."""
        return min(ANSWERS, len(self.near))

    @property
    def is_whole(self) -> bool:
        """Whether its ten nearest rows are known, or all that there are."""
        return len(self.near) >= ANSWERS or math.isinf(self.reach)

    def count(self, answers: Iterable[Neighbour]) -> int:
        """Count the answers of an index that are right; the question's own row is none."""
        others = [one for one in answers if one.key != self.key][: self.wanted]
        if not others:
            return 0
        farthest = self.near[self.wanted - 1].distance
        farthest += _ROUNDING * max(1.0, abs(farthest))  # of rows that are equally far, any is right
        named = {one.key for one in self.near[: self.wanted]}
        return sum(one.key in named or one.distance <= farthest for one in others)


class Recall(NamedTuple):
    """Of how many rows that were to be found, how many were, in how many questions that were asked."""

    found: int
    wanted: int
    asked: int

    @property
    def share(self) -> float | None:
        """The recall, from 0 to 1; None where nothing was asked."""
        return round(self.found / self.wanted, 4) if self.wanted else None


def recall_of(questions: Iterable[Question]) -> Mapping[str, Recall]:
    """Sum up what the source's index found, by the names of the vectors."""
    sums: dict[str, Recall] = {}
    for one in questions:
        so_far = sums.get(one.space, Recall(0, 0, 0))
        asked = Recall(0, 0, 0) if one.found is None else Recall(one.found, one.wanted, 1)
        sums[one.space] = Recall(*(sum(pair) for pair in zip(so_far, asked, strict=True)))
    return sums


def surviving(questions: Iterable[Question], gone: Collection[bytes]) -> list[Question]:
    """Leave out the rows that are gone or changed: what is left knows of none that is new, and was asked of nobody."""
    return [
        replace(one, near=tuple(near for near in one.near if near.key not in gone), found=None)
        for one in questions
        if one.key not in gone
    ]


def are_enough(questions: Iterable[Question], before: Iterable[Question]) -> bool:
    """Say whether what is left of a canary serves as one."""
    left = Counter(one.space for one in questions if one.is_whole)
    return all(left[name] >= min(count, MIN_QUESTIONS) for name, count in Counter(one.space for one in before).items())


def questions_a_space(schema: Schema) -> Mapping[str, int]:
    """Say how many questions each vector gets: as many as the layer has room for, none where they would be too few."""
    room = MAX_CANARY // 2 // max(1, len(schema.vectors))
    found = {space.name: min(QUESTIONS, room // (space.dims * _FLOAT_BYTES)) for space in schema.vectors}
    return {name: count for name, count in found.items() if count >= MIN_QUESTIONS}


def require_canary(questions: Sequence[Question], schema: Schema) -> None:
    """Check what a stored layer says, since somebody may have pushed it by hand.

    Raises:
        DocumentError: It is no canary of this schema.
    """
    sizes = {space.name: space.dims * _FLOAT_BYTES for space in schema.vectors}
    for one in questions:
        distances = [near.distance for near in one.near]
        is_right = (
            sizes.get(one.space) == len(one.vector)
            and len(one.near) <= KEPT
            and all(len(key) <= MAX_KEY + 1 for key in (one.key, *(near.key for near in one.near)))
            and all(map(math.isfinite, distances))
            and distances == sorted(distances)
            and not math.isnan(one.reach)
            and 0 <= (one.found or 0) <= ANSWERS
        )
        if not is_right:
            raise DocumentError("the canary is none of this snapshot", hint="take the snapshot again")
