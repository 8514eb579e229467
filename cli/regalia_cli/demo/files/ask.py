"""The agent's retrieval: the passage of its release's knowledge base that is nearest to a customer's question."""

import json
import os
import sys
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from regalia import Client

NEAREST = SQL(
    "SELECT embedding <=> %(asked)s::vector, id, body FROM {} ORDER BY embedding <=> %(asked)s::vector LIMIT 1"
)

[question] = sys.argv[1:]
place = Client().resolve("acme/support-agent:prod").collection("kb")
vectors = json.loads(Path("knowledge/questions.json").read_text(encoding="utf-8"))  # as its embedder made them
with psycopg.connect(os.environ["KB_URL"]) as connection:
    found = connection.execute(
        NEAREST.format(Identifier(place.collection, str(place.table))), {"asked": json.dumps(vectors[question])}
    )
    for distance, key, body in found:
        sys.stdout.write(f"{distance:.3f}  {key}: {body}  [{place.collection}]\n")
