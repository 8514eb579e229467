"""The agent's retrieval: the passage of a collection that is nearest to a customer's question."""

import json
import os
import sys
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

NEAREST = SQL(
    "SELECT embedding <=> %(asked)s::vector, id, body FROM {} ORDER BY embedding <=> %(asked)s::vector LIMIT 1"
)

collection, question = sys.argv[1:]
vectors = json.loads(Path("knowledge/questions.json").read_text(encoding="utf-8"))  # as its embedder made them
with psycopg.connect(os.environ["KB_URL"]) as connection:
    found = connection.execute(
        NEAREST.format(Identifier(*collection.split("."))), {"asked": json.dumps(vectors[question])}
    )
    for distance, key, body in found:
        sys.stdout.write(f"{distance:.3f}  {key}: {body}\n")
