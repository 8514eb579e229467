"""A registry with `local` and releases whose prompt tells their version, as the tests of moves begin with it."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres, wheel_binaries
from tests.support.registries import Home, home

PROD = "acme/support-agent:prod"
TABLE = """
CREATE TABLE kb (id bigint PRIMARY KEY, body text NOT NULL, embedding vector(4));
INSERT INTO kb SELECT n, 'passage ' || n, ARRAY[n, 1, 0, -n]::vector FROM generate_series(1, 2000) n;
CREATE INDEX ON kb USING hnsw (embedding vector_cosine_ops);
"""

_PROMPT = 'version: "{version}"\nprompt_id: greeting\ntemplate: "Hello {{name}}, this is {version}."\n'


@contextmanager
def staged(
    folder: Path, *options: str, snapshots: bool = True, workers: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[Home]:
    """Serve a registry whose project has a prompt, and the table `kb` of `local` as a snapshot."""
    with home(folder) as made:
        made.more.update(environment or {})
        (made.project / "prompts").mkdir()
        made.must("init", "acme/support-agent", "--registry", made.url)
        with (made.project / "regalia.yaml").open("a") as file:
            file.write("push:\n  prompts/greeting: prompts/greeting.yaml\n")
            if snapshots:
                file.write("  snapshots/kb: {target: local, collection: kb}\n")
        made.start(*options, workers=workers)
        yield made
        made.stop()
        assert "Traceback" not in (made.folder / "registry.log").read_text()
    shutil.rmtree(local_of(made).folder, ignore_errors=True)


def release(made: Home, version: str, statements: str = "") -> None:
    """Make a bundle of the project, and of its collections after these statements."""
    if statements:
        fill(made, statements)
    (made.project / "prompts/greeting.yaml").write_text(_PROMPT.format(version=version))
    made.must("bundle", "create", version)


def fill(made: Home, statements: str) -> None:
    """Do something in `local`, as an application that owns its tables."""
    server = local_of(made)
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(statements.encode())


def local_of(made: Home) -> EmbeddedPostgres:
    """Give the registry's own PostgreSQL."""
    return EmbeddedPostgres(made.folder / ".local/share/regalia/postgres", wheel_binaries())
