"""Agents follow a real registry: they see its moves, it sees them, and what happens to it takes nothing from them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.processes import family
from regalia.client import Client
from regalia.core.errors import NotFoundError
from regalia.following import Follower
from tests.support.registries import Home
from tests.support.stages import PROD, release, staged

OFTEN_S = 0.2
AGENT = f"""
import sys
from regalia import Client
with Client().follow("{PROD}", every_s={OFTEN_S}) as prod:
    for line in sys.stdin:
        print(prod.current().version, flush=True)
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Home]:
    """Serve 1.1.0 in prod, which was at 1.0.0 before."""
    with staged(tmp_path, "--no-worker", snapshots=False, workers=2) as made:
        for version in ("1.0.0", "1.1.0"):
            release(made, version)
            made.must("promote", version, "--to", "prod")
        yield made


def follow(made: Home, reference: str = PROD) -> Follower:
    return Client(environment=made.environment, folder=made.project).follow(reference, every_s=OFTEN_S)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def agents(made: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(made.must("agents", PROD, "--json"))
    return found


def test_a_restore_waits_for_the_fleet_and_tells_who_is_pinned(served: Home) -> None:
    following = [follow(served) for _ in range(5)]
    pinned = follow(served, f"{PROD}@{following[0].current().digest}")
    until(lambda: len(agents(served)) == 6)

    told = served.reg("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes", "--wait=60", "--json")

    assert told.returncode == 0, told.stderr
    assert "agents: 5 following, 1 pinned, which stay where they are" in told.stderr
    restored = json.loads(told.stdout)
    assert f"fleet: 5 of 5 on sequence {restored['sequence']}" in told.stderr
    assert restored["fleet"] == {"arrived": 5, "behind": [], "unseen": []}
    assert {one.current().version for one in following} == {"1.0.0"}
    assert pinned.poll().version == "1.1.0"
    assert [(one["version"], one["pinned"]) for one in agents(served)].count(("1.0.0", False)) == 5
    for one in (*following, pinned):
        one.close()


def test_an_agent_that_has_gone_is_waited_for_no_longer_than_asked_and_named(served: Home) -> None:
    gone = follow(served)
    until(lambda: len(agents(served)) == 1)
    gone.close()
    until(lambda: agents(served)[0]["age_s"] >= 3)  # what it told last is written by then

    told = served.reg("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes", "--wait=3")

    assert told.returncode == 3
    assert "names 1.0.0  moved" in told.stdout
    assert f"moved, and not all have followed in time: reg agents {PROD} tells when they have" in told.stderr
    assert "fleet: 0 of 1 on sequence" in told.stderr
    assert "1 not seen since" in told.stderr


def test_who_asks_again_for_what_the_channel_names_waits_for_the_fleet_all_the_same(served: Home) -> None:
    following = follow(served)
    until(lambda: len(agents(served)) == 1)
    moved = json.loads(served.must("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes", "--json"))

    again = ("restore", PROD, "--to", "1.0.0", "--reason", "INC-42", "--yes", "--json")
    told = served.reg(*again, "--wait=60")
    planned = json.loads(served.must(*again, "--dry-run", "--wait=60"))

    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["state"], found["sequence"]) == ("unchanged", moved["sequence"])
    assert found["fleet"] == {"arrived": 1, "behind": [], "unseen": []}
    assert (planned["state"], planned["sequence"], "fleet" in planned) == ("unchanged", moved["sequence"], False)
    assert following.current().version == "1.0.0"
    following.close()


def test_an_agent_in_another_process_sees_the_move(served: Home) -> None:
    command = [sys.executable, "-c", AGENT]
    with subprocess.Popen(
        command, cwd=served.project, env=served.environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as agent:
        assert agent.stdin is not None
        assert agent.stdout is not None
        ask, answers = agent.stdin, agent.stdout

        def current() -> str:
            ask.write("\n")
            ask.flush()
            return answers.readline().strip()

        first = current()
        served.must("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")

        assert first == "1.1.0"
        until(lambda: current() == "1.0.0")
        ask.close()
        assert agent.wait(30) == 0


def test_a_registry_that_stands_still_takes_nothing_away(served: Home) -> None:
    assert served.server is not None
    with follow(served) as prod:
        kept = prod.current()
        processes = family(served.server.pid)
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)

        held = prod.poll()
        again = prod.current()

        for pid in reversed(processes):
            os.kill(pid, signal.SIGCONT)
        assert (held.version, held.provenance) == (kept.version, "disk")
        assert "can't be reached" in held.warnings[0]
        assert again.prompt("greeting").render(name="Ann") == "Hello Ann, this is 1.1.0."
        until(lambda: prod.current().provenance == "fresh")


def test_a_registry_that_was_killed_is_followed_again_once_it_is_back(served: Home) -> None:
    with follow(served) as prod:
        served.kill()
        assert prod.poll().version == "1.1.0"
        served.start("--no-worker", workers=2)
        served.must("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")

        until(lambda: prod.current().version == "1.0.0")


def test_an_agent_that_forks_is_two_agents(served: Home) -> None:
    prod = follow(served)
    until(lambda: len(agents(served)) == 1)
    reading, writing = os.pipe()

    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(writing)
            prod.current()
            os.read(reading, 1)
            status = 0
        finally:
            os._exit(status)
    until(lambda: len(agents(served)) == 2)

    os.write(writing, b".")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    prod.close()
    os.close(reading)
    os.close(writing)


def test_a_pin_is_resolved_by_the_command_too_and_one_that_never_was_is_not(served: Home) -> None:
    old, new = (served.must("resolve", f"acme/support-agent@{version}").strip() for version in ("1.0.0", "1.1.0"))
    served.must("promote", "1.0.0", "--to", "staging")

    assert served.must("resolve", f"{PROD}@{old}").strip() == old
    assert served.reg("resolve", f"{PROD}@sha256:{'0' * 64}").returncode == 1
    client = Client(environment=served.environment, folder=served.project)
    with pytest.raises(NotFoundError, match="never named"):
        client.resolve(f"acme/support-agent:staging@{new}")


def test_no_right_in_a_namespace_shows_no_agents(served: Home) -> None:
    made = json.loads(
        served.must("token", "create", "--name", "other", "--right", "read", "--namespace", "other", "--json")
    )
    served.more["REGALIA_TOKEN"] = made["token"]

    assert served.reg("agents", PROD).returncode == 1


def test_status_says_how_fast_a_channel_could_go_back(served: Home) -> None:
    [told] = json.loads(served.must("status", "--json"))

    assert (told["restore"]["version"], told["restore"]["state"]) == ("1.0.0", "warm")
    assert "1.0.0 warm" in served.must("status")
    served.must("hold", "1.0.0", "--reason", "INC-41")
    [told] = json.loads(served.must("status", "--json"))
    assert told["restore"]["version"] is None
