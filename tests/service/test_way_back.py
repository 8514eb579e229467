"""A channel that demands a warm way back: what it refuses, and what makes it content again."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regalia.client import Client
from tests.support.registries import Home
from tests.support.stages import PROD, TABLE, release, staged


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Home]:
    """Serve a registry with the bundles 1.0.0 and 1.1.0, whose knowledge bases differ."""
    with staged(tmp_path) as made:
        release(made, "1.0.0", TABLE)
        release(made, "1.1.0", "UPDATE kb SET body = 'wrong'")
        yield made


def way_back(made: Home) -> dict[str, object]:
    [told] = json.loads(made.must("status", "--json"))
    found: dict[str, object] = told["restore"]
    return found


def test_what_is_sealed_stays_warm_and_status_says_so(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local", "--require-warm", "1")
    served.must("promote", "1.0.0", "--to", "prod")
    assert way_back(served)["version"] is None

    served.must("promote", "1.1.0", "--to", "prod")

    assert way_back(served) == {
        "channel": "prod",
        "require_warm": True,
        "version": "1.0.0",
        "bundle": served.must("resolve", "acme/support-agent@1.0.0").strip(),
        "state": "warm",
        "seconds": 0,
        "unplaced": [],
    }


def test_what_an_application_writes_into_is_no_way_back_until_a_copy_is_made(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local,mode=live")
    served.must("channel", "set", PROD, "--require-warm", "1")
    served.must("promote", "1.0.0", "--to", "prod")

    refused = served.reg("promote", "1.1.0", "--to", "prod")

    assert refused.returncode == 1
    assert "demands a warm way back, and 1.0.0 would leave none: snapshots/kb" in refused.stderr
    assert "reg prepare 1.0.0 --for prod" in refused.stderr
    at_commit = served.reg("promote", "1.1.0", "--to", "prod", "--unplaced")  # no operation: the commit itself refuses
    assert "demands a warm way back" in at_commit.stderr
    assert way_back(served)["version"] is None
    served.must("prepare", "1.0.0", "--for", "prod")
    served.must("promote", "1.1.0", "--to", "prod")
    assert way_back(served)["state"] == "warm"


def test_beside_a_live_collection_a_sealed_copy_is_kept_without_being_asked_for(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local,mode=live,standby=true", "--require-warm", "1")
    served.must("promote", "1.0.0", "--to", "prod")
    deadline = time.monotonic() + 60
    while not prepared(served):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    served.must("operation", "watch", prepared(served)[0])

    served.must("promote", "1.1.0", "--to", "prod")

    assert way_back(served)["state"] == "warm"
    refused = served.reg("channel", "set", PROD, "--snapshot", "kb=local,standby=true")
    assert "is frozen, and needs no standby copy" in refused.stderr


def prepared(made: Home) -> list[str]:
    found = json.loads(made.must("operation", "list", "--json"))
    return [one["id"] for one in found if one["kind"] == "prepare"]


def test_what_is_set_of_a_channel_is_set_one_by_one(served: Home) -> None:
    served.must("channel", "set", PROD, "--require-warm", "1")
    served.must("channel", "set", PROD, "--snapshot", "kb=local")

    both = json.loads(served.must("channel", "set", PROD, "--json"))
    one = json.loads(served.must("channel", "set", PROD, "--require-warm", "0", "--json"))

    assert (both["require_warm"], [placing["slot"] for placing in both["placings"]]) == (True, ["snapshots/kb"])
    assert (one["require_warm"], one["placings"]) == (False, both["placings"])


def test_a_cold_way_back_is_told_with_its_time(served: Home) -> None:
    served.must("promote", "1.0.0", "--to", "prod", "--unplaced")
    served.must("promote", "1.1.0", "--to", "prod", "--unplaced")
    assert way_back(served)["state"] == "unplaced"
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    assert (way_back(served)["state"], way_back(served)["seconds"]) == ("cold", None)
    served.must("prepare", "1.1.0", "--for", "prod")

    told = way_back(served)
    assert told["state"] == "cold"
    assert isinstance(told["seconds"], int)
    assert told["seconds"] >= 1


def test_a_pinned_agent_finds_its_collection_after_the_channel_has_gone_back(served: Home) -> None:
    served.must("channel", "set", PROD, "--snapshot", "kb=local")
    served.must("promote", "1.0.0", "--to", "prod")
    served.must("promote", "1.1.0", "--to", "prod")
    client = Client(environment=served.environment, folder=served.project)
    placed = client.refresh(PROD)
    served.must("restore", PROD, "--to", "previous", "--reason", "INC-42", "--yes")

    pinned = Client(environment=served.environment, folder=served.project).resolve(f"{PROD}@{placed.digest}")

    assert client.refresh(PROD).version == "1.0.0"
    assert (pinned.version, pinned.collection("kb")) == ("1.1.0", placed.collection("kb"))
