"""What Prometheus reads of a real registry: every process is in it, whichever answers the scrape."""

import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from regalia_cli.demo.stage import FILES
from tests.servers.process import free_port
from tests.support.asking import get
from tests.support.registries import Home, home

CHANNEL = "/v1/apps/acme/support-agent/channels/prod/resolve?root=1"
LABELS = {"kind", "state", "phase", "outcome", "call", "provider", "method", "route", "status", "le", "version"}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.more["REGALIA_SERVER_METRICS_PORT"] = str(free_port())
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start(workers=2)
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        yield made


def scrape(made: Home, accept: str = "text/plain") -> str:
    """Read the page on a connection of its own, which any process may take."""
    url = f"http://127.0.0.1:{made.more['REGALIA_SERVER_METRICS_PORT']}/metrics"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept})) as answer:
        return str(answer.read().decode())


def series(page: str) -> dict[str, float]:
    """Parse the page; gives each sample by its name and labels."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def value(made: Home, name: str, **labels: str) -> float:
    return series(scrape(made))[f"{name}{sorted(labels.items())}"]


def status(made: Home, path: str, token: str | None = None) -> int:
    return get(made.port, path, token or made.token)[0]


def test_every_resolve_of_every_process_is_counted_by_its_outcome(watched: Home) -> None:
    before = series(scrape(watched))

    answers = [status(watched, CHANNEL) for _ in range(60)]
    answers += [status(watched, CHANNEL.replace("prod", "absent")) for _ in range(5)]
    answers += [status(watched, CHANNEL, token="rgl_unknown") for _ in range(3)]

    after = series(scrape(watched))
    outcomes = {"answered": 60, "absent": 5, "unauthenticated": 3, "unchanged": 0, "other": 0}
    counted = {
        outcome: after[f"regalia_resolves_total[('outcome', '{outcome}')]"]
        - before[f"regalia_resolves_total[('outcome', '{outcome}')]"]
        for outcome in outcomes
    }
    assert answers == [200] * 60 + [404] * 5 + [401] * 3
    assert counted == outcomes
    assert after["regalia_resolve_seconds_count[]"] - before["regalia_resolve_seconds_count[]"] == 68


def test_requests_are_counted_by_route_and_never_by_path(watched: Home) -> None:
    paths = ["/v1/apps/acme/support-agent/channels", "/nothing/../here", "/v1/apps/acme/made-up-name/channels"]
    for path in paths:
        status(watched, path)

    others = {"method": "other", "route": "other", "status": "404"}
    deadline = time.monotonic() + 10
    while str(sorted(others.items())) not in str(series(scrape(watched))) and time.monotonic() < deadline:
        time.sleep(0.05)  # a request is counted once it was answered, maybe by another process than tells of it
    page = scrape(watched)

    routes = set(re.findall(r'route="([^"]*)"', page))
    assert "/v1/apps/{namespace}/{name}/channels" in routes
    assert not [route for route in routes if re.search("acme|made-up|nothing", route)]
    assert value(watched, "regalia_http_requests_total", **others) >= 1


def test_labels_are_those_that_are_documented_and_hold_no_name_of_anybody(watched: Home) -> None:
    page = scrape(watched)

    found = {label for family in text_string_to_metric_families(page) for one in family.samples for label in one.labels}
    documented = Path("docs/operations.md").read_text()
    names = {family.name for family in text_string_to_metric_families(page)}
    assert found <= LABELS
    assert not re.search("acme|support|prod|rgl_", page)
    assert sorted(name for name in names if f"`{name}" not in documented) == []


def test_a_process_that_is_killed_takes_no_count_with_it(watched: Home) -> None:
    for _ in range(20):
        status(watched, CHANNEL)
    before = value(watched, "regalia_resolves_total", outcome="answered")
    [first, *_] = watched.web_processes()

    os.kill(first, signal.SIGKILL)
    while first in watched.web_processes() or len(watched.web_processes()) < 2:
        time.sleep(0.05)
    asked = [status(watched, CHANNEL) for _ in range(20)]

    assert asked == [200] * 20
    assert value(watched, "regalia_resolves_total", outcome="answered") == before + 20


def test_operations_that_ended_and_the_workers_beat_are_told(watched: Home) -> None:
    looked = partial(value, watched, "regalia_operations_ended_total", kind="look", state="done")
    before = looked()

    watched.reg("target", "check", "local")

    deadline = time.monotonic() + 60  # who asked may know before the worker counts
    while looked() == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert looked() == before + 1
    assert abs(value(watched, "regalia_worker_beat_timestamp_seconds") - time.time()) < 60


def test_the_catalog_tells_channels_and_how_long_their_pointers_last(watched: Home) -> None:
    assert value(watched, "regalia_catalog_up") == 1
    assert value(watched, "regalia_channels") == 1
    assert 0 <= value(watched, "regalia_pointer_newest_age_seconds") < 3600
    assert value(watched, "regalia_pointer_remaining_seconds") > 24 * 3600
    assert value(watched, "regalia_root_remaining_seconds") > 24 * 3600


def test_openmetrics_is_spoken_to_who_asks_for_it(watched: Home) -> None:
    assert scrape(watched, "application/openmetrics-text; version=1.0.0").endswith("# EOF\n")


def test_the_service_itself_tells_no_metrics(watched: Home) -> None:
    assert status(watched, "/metrics") == 404


def test_a_worker_of_its_own_tells_its_metrics_at_a_port_of_its_own(watched: Home) -> None:
    port = watched.more["REGALIA_SERVER_METRICS_PORT"]
    watched.more["REGALIA_SERVER_METRICS_PORT"] = str(free_port())
    worker = watched.work("worker.log")
    try:
        page = ""
        while "regalia_worker_beat" not in page:
            time.sleep(0.1)
            assert worker.poll() is None, (watched.folder / "worker.log").read_text()
            try:
                page = scrape(watched)
            except OSError:  # it starts
                continue
        assert "regalia_http" not in page
        assert 'regalia_operations_ended_total{kind="restore",state="done"} 0.0' in page
    finally:
        worker.terminate()
        watched.more["REGALIA_SERVER_METRICS_PORT"] = port

    assert worker.wait(timeout=60) == 0
