"""Counting requests: plain numbers at places known before, since a resolve costs microseconds.

All of it runs on the event loop of one process, so nobody else counts in these cells and no lock is needed.
"""

from collections.abc import Iterable
from itertools import product

from starlette.routing import BaseRoute, Route

from regalia_registry.domain.series import (
    FAMILIES,
    FIXED,
    NS,
    OTHER,
    OUTCOMES,
    RESOLVE_SECONDS,
    RESOLVES,
    Cells,
    Family,
    Layout,
    Shape,
    bucket,
)
from regalia_registry.http.errors import STATUS

_MADE = (200, 201, 202, 204, 206, 302, 304, 307)  # what a request that went well ends with
_ROUTING = (404, 405, 413, 416, 500)
_STATUSES = (*map(str, sorted({*_MADE, *_ROUTING, *STATUS.values()})), OTHER)
_LATENCIES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_NO_ROUTE = (OTHER, OTHER)


class Meter:
    """Counts resolves by outcome and requests by method, route and status, with how long they took."""

    def __init__(self, routes: Iterable[BaseRoute], cells: Cells) -> None:
        """Lay out the cells of the routes behind those that every process has."""
        routed = [
            (method, route.path)
            for route in routes
            if isinstance(route, Route)
            for method in sorted(route.methods or ())
        ]
        series = (
            *(one for one in routed if not one[1].endswith("/resolve")),
            _NO_ROUTE,
        )  # those the front door answers
        requests = Family(
            "regalia_http_requests",
            "Requests but resolves, by method, route and status.",
            Shape.COUNTER,
            ("method", "route", "status"),
            tuple((*one, status) for one, status in product(series, _STATUSES)),
            told_when_zero=False,
        )
        self._seconds = Family(
            "regalia_http_request_seconds",
            "Time until a request was answered whole, the body's way included; resolves apart.",
            Shape.HISTOGRAM,
            ("method", "route"),
            series,
            _LATENCIES_S,
            told_when_zero=False,
        )
        self.layout = Layout((*FAMILIES, requests, self._seconds))
        self._cells = cells
        self._requests = {
            (*one, int(status)): self.layout.cell(requests, *one, status)
            for one, status in product(series, _STATUSES[:-1])
        }
        self._others = {one: self.layout.cell(requests, *one, OTHER) for one in series}
        self._first = {one: self.layout.cell(self._seconds, *one) for one in series}
        self._resolves = {status: FIXED.cell(RESOLVES, outcome) for status, outcome in OUTCOMES.items()}
        self._resolve_other = FIXED.cell(RESOLVES, OTHER)
        self._resolve_first = FIXED.cell(RESOLVE_SECONDS)
        self._resolve_sum = self._resolve_first + RESOLVE_SECONDS.width - 1

    def resolved(self, status: int, spent_s: float) -> None:
        """Count a resolve."""
        cells = self._cells
        cells[self._resolves.get(status, self._resolve_other)] += 1
        cells[self._resolve_first + bucket(RESOLVE_SECONDS, spent_s)] += 1
        cells[self._resolve_sum] += int(spent_s * NS)

    def requested(self, method: str, route: object, status: int, spent_s: float) -> None:
        """Count a request; `route` is what the router found, if anything."""
        one = (method, route.path) if isinstance(route, Route) else _NO_ROUTE
        first = self._first.get(one)
        if first is None:  # a method that no route has
            one, first = _NO_ROUTE, self._first[_NO_ROUTE]
        self._cells[self._requests.get((*one, status), self._others[one])] += 1
        self._cells[first + bucket(self._seconds, spent_s)] += 1
        self._cells[first + self._seconds.width - 1] += int(spent_s * NS)
