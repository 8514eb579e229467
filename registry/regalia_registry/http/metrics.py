"""The page that Prometheus reads: the numbers of all processes, and what the catalog tells, as metrics."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

import regalia
from regalia_registry.domain.series import NS, Family, Layout, Shape
from regalia_registry.services.watching import Watched


class Page(Collector):
    """Collects on demand; nothing is kept between two scrapes.

    `watch` gives what the catalog tells, or None where it does not answer in time: then `regalia_catalog_up` is 0, and
    all that was counted is told all the same.
    """

    def __init__(
        self, layout: Layout, stripes: Callable[[], Sequence[Sequence[int]]], watch: Callable[[], Watched | None] | None
    ) -> None:
        """Collect nothing yet; without `watch`, nothing of the catalog is told."""
        self._layout = layout
        self._stripes = stripes
        self._watch = watch

    def registry(self) -> CollectorRegistry:
        """Give a registry of this page alone: the library's own one is shared with whatever else is loaded."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def describe(self) -> Iterable[Metric]:
        """Name nothing: who registers it would otherwise ask the catalog."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        build = GaugeMetricFamily("regalia_build_info", "The version of this process group.", labels=["version"])
        build.add_metric([regalia.__version__], 1)
        yield build
        numbers, start = self._layout.merged(self._stripes()), 0
        for family in self._layout.families:
            size = family.width * len(family.values)
            yield _metric(family, numbers[start : start + size])
            start += size
        if self._watch is not None:
            yield from _of_catalog(self._watch())


def _metric(family: Family, numbers: Sequence[int]) -> Metric:
    width = family.width
    series = [(values, numbers[place * width : (place + 1) * width]) for place, values in enumerate(family.values)]
    told = [(values, cells) for values, cells in series if family.told_when_zero or any(cells)]
    match family.shape:
        case Shape.HISTOGRAM:
            histogram = HistogramMetricFamily(family.name, family.about, labels=family.labels)
            bounds = [*map(floatToGoString, family.bounds_s), "+Inf"]
            for values, (*counts, sum_ns) in told:
                buckets = list(zip(bounds, map(float, accumulate(counts)), strict=True))
                histogram.add_metric(values, buckets, sum_ns / NS)
            return histogram
        case Shape.GAUGE:
            gauge = GaugeMetricFamily(family.name, family.about, labels=family.labels)
            for values, cells in told:
                gauge.add_metric(values, cells[0])
            return gauge
        case Shape.COUNTER:
            counter = CounterMetricFamily(family.name, family.about, labels=family.labels)
            for values, cells in told:
                counter.add_metric(values, cells[0])
            return counter


def _of_catalog(watched: Watched | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "regalia_catalog_up", "Whether the catalog answered this scrape.", value=watched is not None
    )
    if watched is None:
        return
    opened = GaugeMetricFamily("regalia_operations_open", "Operations that are not over.", labels=["kind", "state"])
    oldest = GaugeMetricFamily(
        "regalia_operations_oldest_seconds", "How old the oldest of them is.", labels=["kind", "state"]
    )
    for key, count in watched.open.items():
        opened.add_metric([*map(str, key)], count)
        oldest.add_metric([*map(str, key)], watched.oldest_s[key])
    yield opened
    yield oldest
    told = (
        ("regalia_channels", "Channels that were looked at; 5,000 at most.", watched.channels),
        ("regalia_pointer_newest_age_seconds", "How long ago a channel last moved.", watched.pointer_newest_s),
        (
            "regalia_pointer_oldest_age_seconds",
            "How long ago the channel moved that has stood longest.",
            watched.pointer_oldest_s,
        ),
        ("regalia_pointer_remaining_seconds", "Until the first pointer ends; below 0 it has.", watched.pointer_left_s),
        ("regalia_root_remaining_seconds", "Until the trust root ends; below 0 it has.", watched.root_left_s),
    )
    for name, about, value in told:
        if value is not None:
            yield GaugeMetricFamily(name, about, value=value)
