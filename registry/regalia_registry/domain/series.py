"""What is counted, as families of series whose cells are known before anything happens: no label comes from outside."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Protocol

from regalia_registry.domain.operations import MOVES, OperationKind, OperationState

OTHER = "other"
NS = 1_000_000_000


class Shape(StrEnum):
    """How a family's cells of several processes become one: counts are added, of gauges the highest counts."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Cells(Protocol):
    """Numbers by their place: whole, from 0 to 2**64 - 1."""

    def __getitem__(self, place: int, /) -> int:
        """Give one."""
        ...

    def __setitem__(self, place: int, value: int, /) -> None:
        """Replace one."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its series are all that its labels' `values` can say together, so their number is bounded.

    A series of a histogram has a cell for each of `bounds_s`, one for what is longer, and one for the sum in
    nanoseconds; any other has one cell. `told_when_zero` says that a series is shown before anything was counted.
    """

    name: str
    about: str
    shape: Shape
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ((),)
    bounds_s: tuple[float, ...] = ()
    told_when_zero: bool = True

    @property
    def width(self) -> int:
        """How many cells a series has."""
        return len(self.bounds_s) + 2 if self.shape is Shape.HISTOGRAM else 1


class Layout:
    """Where each series has its cells; families that are appended move none of those before."""

    def __init__(self, families: Sequence[Family]) -> None:
        """Lay them out one after another."""
        self.families = tuple(families)
        self._places: dict[tuple[str, tuple[str, ...]], int] = {}
        self.size = 0
        for family in self.families:
            for values in family.values:
                self._places[family.name, values] = self.size
                self.size += family.width

    def cell(self, family: Family, *values: str) -> int:
        """Give the first cell of a series; of one that is not foreseen, the series `other`.

        >>> errors = Family("errors", "", Shape.COUNTER, ("engine",), (("files",), ("other",)))
        >>> layout = Layout([errors])
        >>> layout.cell(errors, "files"), layout.cell(errors, "oracle")
        (0, 1)
        """
        found = self._places.get((family.name, values))
        return self._places[family.name, (OTHER,) * len(values)] if found is None else found

    def merged(self, stripes: Sequence[Sequence[int]]) -> list[int]:
        """Make the numbers of several processes one.

        >>> beat = Family("beat", "", Shape.GAUGE)
        >>> Layout([Family("served", "", Shape.COUNTER), beat]).merged([[3, 10], [4, 8]])
        [7, 10]
        """
        found = [sum(cells) for cells in zip(*(stripe[: self.size] for stripe in stripes), strict=True)]
        for family in self.families:
            if family.shape is Shape.GAUGE:
                for values in family.values:
                    place = self._places[family.name, values]
                    found[place] = max(stripe[place] for stripe in stripes)
        return found


def bucket(family: Family, spent_s: float) -> int:
    """Say which of a series' cells counts a duration.

    >>> [bucket(Family("d", "", Shape.HISTOGRAM, bounds_s=(0.1, 1.0)), spent_s) for spent_s in (0.1, 0.2, 5.0)]
    [0, 1, 2]
    """
    return bisect_left(family.bounds_s, spent_s)


_FAST_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SLOW_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_KINDS = tuple(map(str, OperationKind))
_OVER = tuple(str(state) for state in OperationState if state.is_over)
PREPARE, SETTLE = "prepare", "settle"
BLOB_CALLS = ("put", "open", "stat", "delete", "list", "link")
PROVIDERS = ("embedded", "pgvector", "weaviate", "files", OTHER)

OUTCOMES = {
    200: "answered",
    304: "unchanged",
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "absent",
    409: "not_placed",
    503: "unavailable",
}
RESOLVES = Family(
    "regalia_resolves",
    "Resolve requests by outcome.",
    Shape.COUNTER,
    ("outcome",),
    tuple((outcome,) for outcome in (*OUTCOMES.values(), OTHER)),
)
RESOLVES_KEPT = Family(
    "regalia_resolves_kept",
    "Resolve requests answered with what was answered before, since the catalog or the blob store does not answer.",
    Shape.COUNTER,
)
RESOLVE_SECONDS = Family(
    "regalia_resolve_seconds", "Time to answer a resolve request.", Shape.HISTOGRAM, bounds_s=_FAST_S
)
BLOB_ERRORS = Family(
    "regalia_blob_errors",
    "Calls of the blob store that it did not answer, or had no room for.",
    Shape.COUNTER,
    ("call",),
    tuple((call,) for call in BLOB_CALLS),
)
VECTOR_ERRORS = Family(
    "regalia_vector_errors",
    "Connections to vector engines that failed, and looks after aliases and seals.",
    Shape.COUNTER,
    ("provider",),
    tuple((provider,) for provider in PROVIDERS),
)
OPERATIONS_ENDED = Family(
    "regalia_operations_ended",
    "Operations that ended at a worker, by how.",
    Shape.COUNTER,
    ("kind", "state"),
    tuple(product(_KINDS, _OVER)),
)
OPERATION_WAITS = Family(
    "regalia_operation_waits",
    "Times that an operation waits because an engine, the blob store or the catalog does not answer.",
    Shape.COUNTER,
    ("kind",),
    tuple((kind,) for kind in _KINDS),
)
MOVE_SECONDS = Family(
    "regalia_move_seconds",
    "Moves with collections: from the request until it is prepared, and from its commit until it is settled.",
    Shape.HISTOGRAM,
    ("kind", "phase"),
    tuple(product(sorted(map(str, MOVES)), (PREPARE, SETTLE))),
    _SLOW_S,
)
ALIAS_LAG = Family(
    "regalia_alias_lag_seconds",
    "How long an alias led elsewhere once its channel had moved.",
    Shape.HISTOGRAM,
    bounds_s=_SLOW_S,
)
WORKER_BEAT = Family(
    "regalia_worker_beat_timestamp_seconds",
    "When a worker of this process group last gave a sign of life; absent where there is none.",
    Shape.GAUGE,
    told_when_zero=False,
)
FAMILIES = (
    RESOLVES,
    RESOLVES_KEPT,
    RESOLVE_SECONDS,
    BLOB_ERRORS,
    VECTOR_ERRORS,
    OPERATIONS_ENDED,
    OPERATION_WAITS,
    MOVE_SECONDS,
    ALIAS_LAG,
    WORKER_BEAT,
)
FIXED = Layout(FAMILIES)  # what every kind of process counts in; a web process appends its routes
