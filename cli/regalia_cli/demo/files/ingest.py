"""The bank's ingestion job, as any of yours: it writes passages and their vectors to a live table of PostgreSQL."""

import os
import sys

import psycopg
from pyarrow import parquet

TABLE = """
CREATE TABLE IF NOT EXISTS kb_working (
    id text PRIMARY KEY, topic text NOT NULL, body text NOT NULL, embedding vector(384) NOT NULL
);
CREATE INDEX IF NOT EXISTS kb_working_nearest ON kb_working USING hnsw (embedding vector_cosine_ops);
"""
WRITE = """
INSERT INTO kb_working VALUES (%(id)s, %(topic)s, %(body)s, %(embedding)s::vector)
ON CONFLICT (id) DO UPDATE SET topic = excluded.topic, body = excluded.body, embedding = excluded.embedding
"""

passages = parquet.read_table(sys.argv[1]).to_pylist()
kept = [{**passage, "embedding": str(passage["embedding"])} for passage in passages if passage["body"] is not None]
gone = [passage["id"] for passage in passages if passage["body"] is None]
with psycopg.connect(os.environ["KB_URL"]) as connection, connection.cursor() as cursor:
    cursor.execute(TABLE)
    cursor.executemany(WRITE, kept)
    cursor.execute("DELETE FROM kb_working WHERE id = ANY(%s)", [gone])
    [[count]] = cursor.execute("SELECT count(*) FROM kb_working")
sys.stdout.write(f"{len(kept)} passages written, {len(gone)} removed; kb_working has {count}\n")
