"""A fleet of the bank's agents under load: each follows prod, and asks its release's knowledge base without pause.

An answer must belong to the release that it was asked in: 5 euros in 2.3.0, 50 in 2.3.1. Whatever else is seen is a
mixture. It reports as one line of JSON when its input ends.
"""

import json
import os
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from regalia import Client
from regalia.core.statements import Place

AGENTS, EVERY_S = 8, 2.0
FEE = "What does a debit card cost a year?"
COSTS = {"2.3.0": " 5.00 euros", "2.3.1": " 50.00 euros"}
ASKED = json.loads(Path("knowledge/questions.json").read_text(encoding="utf-8"))[FEE]
NEAREST = SQL("SELECT body FROM {} ORDER BY embedding <=> %s::vector LIMIT 1")

seen: Counter[str] = Counter()
served: dict[int, str] = {}
ended = threading.Event()


def main() -> None:
    """Run the agents until the input ends."""
    agents = [threading.Thread(target=agent, args=(number,)) for number in range(AGENTS)]
    for one in agents:
        one.start()
    while len(served) < AGENTS and all(one.is_alive() for one in agents):
        time.sleep(0.01)
    sys.stdout.write("ready\n" if len(served) == AGENTS else "failed\n")
    sys.stdout.flush()
    sys.stdin.read()
    ended.set()
    for one in agents:
        one.join()
    sys.stdout.write(json.dumps({"agents": AGENTS, "versions": sorted(set(served.values())), **seen}) + "\n")


def agent(number: int) -> None:
    """Be one agent: a session takes a bundle, and keeps it to its end."""
    client = Client(state=Path(f"../fleet/{number}"))
    with (
        client.follow("acme/support-agent:prod", every_s=EVERY_S) as follower,
        psycopg.connect(os.environ["KB_URL"], autocommit=True) as database,
    ):
        while not ended.is_set():
            bundle = follower.current()
            try:
                answers = [nearest(database, bundle.collection("kb"))]
                if "snapshots/search" in bundle.slots:
                    answers.append(nearest_class(bundle.collection("search").collection))
            except (psycopg.Error, OSError) as error:
                seen["errors"] += 1
                sys.stderr.write(f"{error}\n")
                continue
            seen["queries"] += len(answers)
            seen["mixed"] += sum(COSTS[bundle.version] not in one for one in answers)
            served[number] = bundle.version


def nearest(database: psycopg.Connection, place: Place) -> str:
    """Ask PostgreSQL."""
    table = Identifier(place.collection, str(place.table))
    [[body]] = database.execute(NEAREST.format(table), [json.dumps(ASKED)])
    return str(body)


def nearest_class(name: str) -> str:
    """Ask Weaviate."""
    query = f"{{Get{{{name}(limit:1,nearVector:{{vector:{json.dumps(ASKED)}}}){{body}}}}}}"
    request = urllib.request.Request(  # noqa: S310 # the URL is the demo's own
        f"{os.environ['KB_WEAVIATE']}/v1/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 # the URL is the demo's own
        return json.dumps(json.load(answer)["data"]["Get"][name][0])


main()
