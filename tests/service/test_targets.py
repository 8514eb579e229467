"""Targets of a real registry: who may use which, what becomes of their secrets, and what is said of bad ones."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from regalia import operations
from regalia.client import Client
from regalia.core.errors import ConflictError, ForbiddenError, NotFoundError, RegaliaError
from regalia.wire.answers import OperationEntry, TargetEntry
from regalia_cli.demo.stage import FILES
from regalia_registry.adapters.vectors.pgvector import places
from regalia_registry.adapters.vectors.pgvector.embedded import EmbeddedPostgres
from tests.servers import postgres
from tests.servers.process import free_port
from tests.servers.secrets_manager import Secrets, serving
from tests.support.registries import Home, home

WRONG = "hunter2-is-not-it"
TABLE = """
CREATE TABLE kb (id int PRIMARY KEY, embedding vector(1));
INSERT INTO kb SELECT n, '[1]' FROM generate_series(1, 100) n;
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A second PostgreSQL, which asks for a password."""
    with postgres.running(tmp_path_factory.mktemp("other") / "postgres", port=free_port()) as server:
        with psycopg.connect(server.url, autocommit=True) as owner:
            owner.execute(TABLE)
        yield server


@pytest.fixture(scope="module")
def secret(other: EmbeddedPostgres) -> str:
    with psycopg.connect(other.url.replace("regalia@", "postgres@", 1), autocommit=True) as superuser:
        superuser.execute("ALTER ROLE regalia_reader PASSWORD 'correct-horse-battery'")
    return "correct-horse-battery"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, secret: str) -> Iterator[Home]:
    kept = Secrets({"kb": json.dumps({"password": secret}), "wrong": WRONG})
    with serving(kept), home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.more |= {"KB_PASSWORD": secret, "WRONG_PASSWORD": WRONG, **kept.environment}
        made.more["REGALIA_SERVER_LOCAL_PORT"] = str(free_port())
        made.start()
        yield made
        made.stop()
        assert "Traceback" not in (made.folder / "registry.log").read_text()
    shutil.rmtree(places.cluster_folder(made.folder / ".local/share/regalia/postgres"), ignore_errors=True)


@pytest.fixture(scope="module")
def admin(served: Home) -> Client:
    return Client(environment=served.environment, folder=served.project)


@pytest.fixture(autouse=True)
def _no_target_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    admin: Client = request.getfixturevalue("admin")
    yield
    for target in operations.list_targets(admin):
        if target.name != "local":
            operations.remove_target(admin, target.name)
    operations.assign_target(admin, "local", ["*"])


def member(served: Home, namespace: str, *rights: str) -> Client:
    wanted = [word for right in rights or ("read", "publish") for word in ("--right", right)]
    token = served.must("token", "create", "--name", "ci", *wanted, "--namespace", namespace).strip()
    return Client(environment={**served.environment, "REGALIA_TOKEN": token}, folder=served.project)


def over(client: Client, asked: OperationEntry) -> OperationEntry:
    *_, last = operations.watch(client, asked.namespace, asked.id)
    return last.operation


def add(admin: Client, name: str, url: str, credential: str | None = None, *namespaces: str) -> None:
    operations.add_target(admin, TargetEntry(name, "pgvector", url, credential, namespaces or ("acme",)))


def test_a_secret_is_stored_logged_and_shown_nowhere(served: Home, other: EmbeddedPostgres, secret: str) -> None:
    for name, credential in {"kb": "env:KB_PASSWORD", "bad": "env:WRONG_PASSWORD"}.items():
        served.must("target", "add", name, other.agents_url, "--credential", credential)
    served.must("target", "add", "aws", other.agents_url, "--credential", "aws-secretsmanager:kb#password")
    served.must("target", "add", "awry", other.agents_url, "--credential", "aws-secretsmanager:wrong")

    told = [
        served.must("snapshot", "create", "kb", "public.kb", "--name", "kb", "--json"),
        served.must("target", "check", "aws", "--json"),
        served.must("target", "list", "--json"),
        served.must("target", "show", "kb", "--json"),
        served.must("operation", "list", "--json"),
        *(served.reg("target", "check", name, "--json").stderr for name in ("bad", "awry")),
        served.must("operation", "list", "--json"),
    ]
    assert json.loads(told[0])["count"] == 100
    assert "read" in json.loads(told[1])["rights"]
    assert all("password authentication failed" in one for one in told[5:7])
    written = [path for path in served.folder.rglob("*") if path.is_file()]
    assert {"registry.db", "registry.log"} <= {path.name for path in written}
    for hidden in (secret, WRONG):
        assert not [one for one in told if hidden in one]
        assert not [path for path in written if hidden.encode() in path.read_bytes()]


BAD = {
    "nothing answers": ("postgresql://a@127.0.0.1:1/x", "unavailable", "Connection refused"),
    "no such machine": ("postgresql://a@nowhere.invalid/x", "unavailable", "resolve host"),
    "no such socket": ("postgresql://a@/x?host=/nowhere", "unavailable", "No such file"),
    "an abstract socket": ("postgresql://a@/x?host=@postgres", "configuration", "names no host"),
    "an encoded keyword": ("postgresql://a@h/x?host=/tmp%00", "configuration", "is no PostgreSQL address"),
}


@pytest.mark.parametrize(("url", "code", "words"), BAD.values(), ids=BAD)
def test_a_bad_url_is_told_and_the_service_goes_on(admin: Client, url: str, code: str, words: str) -> None:
    add(admin, "bad", url)

    done = over(admin, operations.start_look(admin, "acme", "bad", what="check"))

    assert done.state == "failed"
    assert done.outcome is not None
    assert (done.outcome["error"], bool(done.outcome["hint"])) == (code, True)
    assert words in str(done.outcome["message"])


@pytest.mark.parametrize(
    ("user", "database", "query", "code", "words"),
    [
        ("regalia_reader", "local", "", "access", "password authentication failed"),
        ("postgres", "local", "", "access", "no encryption"),
        ("regalia_reader", "postgres", "", "access", "no pg_hba.conf entry"),
        ("regalia_reader", "local", "?sslmode=require", "configuration", "does not support SSL"),
    ],
    ids=["wrong password", "a user that must come by TLS", "a database that is not let in", "a server without TLS"],
)
def test_a_server_that_does_not_let_us_in_is_told(
    admin: Client, other: EmbeddedPostgres, user: str, database: str, query: str, code: str, words: str
) -> None:
    address = other.agents_url.partition("@")[2].partition("/")[0]
    add(admin, "bad", f"postgresql://{user}@{address}/{database}{query}", "env:WRONG_PASSWORD")

    done = over(admin, operations.start_look(admin, "acme", "bad", what="check"))

    assert done.outcome is not None
    assert done.outcome["error"] == code
    assert words in str(done.outcome["message"])


def test_what_is_no_database_at_all_is_told(served: Home, admin: Client) -> None:
    add(admin, "bad", f"postgresql://a@127.0.0.1:{served.port}/x")

    done = over(admin, operations.start_look(admin, "acme", "bad", what="check"))

    assert done.outcome is not None
    assert done.outcome["error"] in {"configuration", "unavailable"}


def test_the_registrys_own_server_is_reached_as_local_alone(served: Home, admin: Client) -> None:
    sockets = places.sockets_folder(served.folder / ".local/share/regalia/postgres")
    add(admin, "own", f"postgresql://postgres@/postgres?host={sockets}")

    done = over(admin, operations.start_look(admin, "acme", "own", what="check"))

    assert done.outcome is not None
    assert "registry's own PostgreSQL" in str(done.outcome["message"])
    with pytest.raises(ConflictError, match='is the target "local"'):
        operations.add_target(admin, TargetEntry("own2", "embedded", "embedded:", None, ("acme",)))
    with pytest.raises(ConflictError, match="stays"):
        operations.remove_target(admin, "local")


@pytest.mark.parametrize("url", ["postgresql://a:{}@h/x", "postgresql://h/x?password={}", "postgresql://h/x\n{}", "{}"])
def test_a_url_that_holds_a_secret_is_stored_nowhere(served: Home, admin: Client, url: str) -> None:
    with pytest.raises(RegaliaError, match="the target's URL") as caught:
        add(admin, "bad", url.format(WRONG))

    assert WRONG not in str(caught.value)
    assert [one.name for one in operations.list_targets(admin)] == ["local"]
    data = served.folder / ".local/share/regalia"
    assert WRONG.encode() not in b"".join(path.read_bytes() for path in data.glob("registry.db*"))
    assert WRONG not in (served.folder / "registry.log").read_text()


def test_a_url_that_its_provider_would_refuse_is_not_added(served: Home, admin: Client) -> None:
    refused = served.reg("target", "add", "bad", "http://127.0.0.1:8080")

    assert refused.returncode == 1
    assert "no PostgreSQL address" in refused.stderr
    assert [one.name for one in operations.list_targets(admin)] == ["local"]


def test_each_namespace_uses_and_knows_its_own_targets(served: Home, admin: Client, other: EmbeddedPostgres) -> None:
    add(admin, "kb", other.agents_url, "env:KB_PASSWORD", "acme", "initech")
    acme, globex = member(served, "acme"), member(served, "globex")

    assert [one.name for one in operations.list_targets(globex)] == ["local"]
    assert list(operations.list_targets(acme))[1] == TargetEntry("kb", "pgvector", other.agents_url, None, ("acme",))
    assert operations.get_target(admin, "kb").credential == "env:KB_PASSWORD"
    assert over(acme, operations.start_look(acme, "acme", "kb", what="list")).state == "done"
    foreign, absent = refusal(globex, "kb"), refusal(globex, "absent")
    assert foreign.replace("kb", "absent") == absent
    with pytest.raises(NotFoundError, match='there is no target "kb"'):
        operations.get_target(globex, "kb")
    with pytest.raises(NotFoundError, match="no namespace"):
        operations.start_look(globex, "acme", "kb", what="list")


def refusal(client: Client, target: str) -> str:
    with pytest.raises(NotFoundError) as caught:
        operations.start_look(client, "globex", target, what="list")
    return caught.value.message


def test_an_admin_says_who_uses_the_embedded_one(served: Home, admin: Client) -> None:
    acme, globex = member(served, "acme"), member(served, "globex")
    assert operations.assign_target(admin, "local", ["acme"]).namespaces == ("acme",)

    assert [one.name for one in operations.list_targets(acme)] == ["local"]
    assert list(operations.list_targets(globex)) == []
    assert refusal(globex, "local") == 'there is no target "local" for "globex"'
    assert "reg target assign" in served.must("target", "assign", "--help")


def test_a_target_is_added_for_the_projects_namespace_or_the_ones_that_are_said(served: Home, admin: Client) -> None:
    url = "postgresql://db.example.com/kb"

    served.must("target", "add", "a", url)
    served.must("target", "add", "b", url, "--namespace", "globex", "--namespace", "acme")
    served.must("target", "add", "c", url, "--namespace", "*")
    refused = served.reg("target", "add", "d", url, cwd=served.folder)

    found = {one.name: one.namespaces for one in operations.list_targets(admin)}
    assert found == {"local": ("*",), "a": ("acme",), "b": ("acme", "globex"), "c": ("*",)}
    assert "--namespace" in refused.stderr


def test_only_an_admin_adds_assigns_and_removes(served: Home, admin: Client) -> None:
    acme = member(served, "acme", "admin")

    for change in (
        lambda: add(acme, "kb", "postgresql://db/kb"),
        lambda: operations.assign_target(acme, "local", ["acme"]),
        lambda: operations.remove_target(acme, "local"),
    ):
        with pytest.raises(ForbiddenError):
            change()
    assert operations.get_target(admin, "local").namespaces == ("*",)


def test_the_embedded_one_says_how_agents_reach_it(served: Home, admin: Client) -> None:
    over(admin, operations.start_look(admin, "acme", "local", what="check"))

    shown = json.loads(served.must("target", "show", "local", "--json"))
    told = served.must("target", "show", "local")
    checked = served.must("target", "check", "local")

    password = Path(shown["agents_password_file"]).read_text()
    assert password not in told
    assert shown["agents_url"] in told
    assert "may read, create, alias, fence; has aliases" in checked
    assert "MB free" in checked
    with psycopg.connect(shown["agents_url"], password=password) as agent:
        assert agent.execute("SELECT current_user").fetchone() == ("regalia_reader",)
    assert not [path for path in served.folder.glob("*.log") if password in path.read_text()]
