"""The agent's retrieval: the passage of its release's knowledge base that is nearest to a customer's question.

`ask.py QUESTION` asks the collection that prod places; `ask.py COLLECTION QUESTION` asks the one that is named.
"""

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

*named, question = sys.argv[1:]
if named:
    where = named[0].split(".")
else:
    place = Client().resolve("acme/support-agent:prod").collection("kb")
    where = [place.collection, str(place.table)]
vectors = json.loads(Path("knowledge/questions.json").read_text(encoding="utf-8"))  # as its embedder made them
with psycopg.connect(os.environ["KB_URL"]) as connection:
    found = connection.execute(NEAREST.format(Identifier(*where)), {"asked": json.dumps(vectors[question])})
    for distance, key, body in found:
        sys.stdout.write(f"{distance:.3f}  {key}: {body}  [{where[0]}]\n")
