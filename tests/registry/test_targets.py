"""What a target may be, and who may use one."""

import pytest

from regalia.core.errors import InvalidError, NotFoundError
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.domain.access import SYSTEM, Actor, Grant
from regalia_registry.domain.addresses import require_address
from regalia_registry.domain.operations import Look, LookWish, Operation, OperationKind, Target
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Ports
from regalia_registry.services.looking import look
from regalia_registry.services.steps import targets
from tests.support.records import NOW

SECRET = "hunter2"


def target(url: str = "postgresql://db/kb", credential: str | None = None, *namespaces: str) -> Target:
    return Target("kb", "pgvector", url, credential, namespaces)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader@db.example.com:5432/kb?sslmode=verify-full",
        "postgresql://[::1]:5432/kb",
        "postgresql:///kb?host=/var/run/postgresql",
        "postgresql://a,b:5433/kb?target_session_attrs=read-write",
        "https://weaviate.example.com:8443",
        "file:///srv/passages",
        "embedded:",
    ],
)
def test_a_url_without_a_secret_is_a_target(url: str) -> None:
    assert target(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://reader:{SECRET}@db/kb",
        f"postgresql://:{SECRET}@db/kb",
        f"postgresql://reader:{SECRET}/x@db/kb",
        f"postgresql://reader:{SECRET}?x@db/kb",
        f"postgresql://reader:{SECRET}#x@db/kb",
        f"postgresql://db/kb?password={SECRET}",
        f"postgresql://db/kb?PassWord={SECRET}",
        f"postgresql://db/kb?sslmode=require&sslpassword={SECRET}",
        f"postgresql://db/kb?passw%6frd={SECRET}",
        f"postgresql://db/kb?%70assword={SECRET}",
        f"postgresql://db/kb?+password={SECRET}",
        f"https://weaviate/?api_key={SECRET}",
        f"https://weaviate/?access_token={SECRET}",
        f"https://weaviate/#{SECRET}",
        f"host=db password={SECRET}",
        f"postgresql://db/kb password={SECRET}",
        f"postgresql://db/kb\npassword={SECRET}",
        f"postgresql://db/kb\x00{SECRET}",
        f"{SECRET}",
        "",
        "postgresql://db/" + "x" * 5000,
    ],
)
def test_a_url_with_a_secret_or_of_no_form_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(InvalidError, match="the target's URL") as caught:
        target(url)

    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("pgvector", "postgresql://reader@db.example.com:5432/kb?sslmode=verify-full"),
        ("pgvector", "postgres:///kb?host=/var/run/postgresql"),
        ("weaviate", "https://weaviate.example.com:8443/?grpc=50051"),
        ("weaviate", "http://[::1]:8080"),
        ("files", "file:///srv/passages"),
        ("somebody-elses", "any:thing?at=all"),
    ],
)
def test_an_address_that_its_provider_takes_is_added(provider: str, url: str) -> None:
    require_address(provider, url)


NO_ADDRESSES = {
    "another engine's scheme": ("pgvector", "https://127.0.0.1/x", "no PostgreSQL address"),
    "no host": ("pgvector", "postgresql:///x", "names no host"),
    "settings of the session": ("pgvector", "postgresql://a@h/x?options=-csearch_path%3Devil", '"options"'),
    "a service file": ("pgvector", "postgresql://a@h/x?service=other", '"service"'),
    "a password file": ("pgvector", "postgresql://a@h/x?passfile=/etc/shadow", '"passfile"'),
    "an unknown word": ("pgvector", "postgresql://a@h/x?color=red", '"color"'),
    "a database": ("weaviate", "postgresql://h/x", "no Weaviate address"),
    "a path": ("weaviate", "http://h/v1", "no Weaviate address"),
    "a user": ("weaviate", "http://a@h", "no Weaviate address"),
    "no name of a host": ("weaviate", "http://:8080", "no Weaviate address"),
    "an open bracket": ("weaviate", "http://[::1", "no Weaviate address"),
    "an option of nobody": ("weaviate", "http://h?mode=x", '"mode"'),
    "another machine's folder": ("files", "file://h/srv", "no folder"),
    "a relative folder": ("files", "file:srv", "no folder"),
}


@pytest.mark.parametrize(("provider", "url", "words"), NO_ADDRESSES.values(), ids=NO_ADDRESSES)
def test_an_address_that_its_provider_would_refuse_is_not_added(provider: str, url: str, words: str) -> None:
    with pytest.raises(InvalidError, match=words):
        require_address(provider, url)


@pytest.mark.parametrize(
    "credential",
    [
        "env:KB_PASSWORD",
        "file:/run/secrets/kb",
        "aws-secretsmanager:prod/kb",
        "aws-secretsmanager:prod/kb#password",
        "aws-secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:kb-a1B2c3#password",
    ],
)
def test_a_credential_says_where_a_secret_is(credential: str) -> None:
    assert target(credential=credential).credential == credential


@pytest.mark.parametrize(
    "credential",
    [
        SECRET,
        "",
        "env:",
        "env:A-B",
        "env:A\n",
        "file:relative",
        "file:/a\x00b",
        "file:/a\nb",
        "aws-secretsmanager:",
        "aws-secretsmanager:a b",
        "aws-secretsmanager:kb#a#b",
        "vault:kb",
    ],
)
def test_what_is_no_credential_is_refused_and_never_repeated(credential: str) -> None:
    with pytest.raises(InvalidError, match="a credential is") as caught:
        target(credential=credential)

    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("namespace", ["", "ACME", "a b", "**", "../acme", "acme\n"])
def test_a_target_is_for_namespaces_of_their_own_grammar(namespace: str) -> None:
    with pytest.raises(InvalidError):
        target("postgresql://db/kb", None, namespace)


def test_a_namespace_uses_its_own_targets_and_those_of_all() -> None:
    store = MemoryStore()
    with store.note() as tx:
        tx.targets.add(target("postgresql://db/kb", None, "acme"))
        tx.targets.add(Target("nobodys", "pgvector", "postgresql://db/kb"))

    with store.read() as tx:
        assert targets.require_use(tx, "kb", namespace="acme").name == "kb"
        assert targets.require_use(tx, "local", namespace="globex").name == "local"
        told = [refused(tx, name) for name in ("kb", "nobodys", "absent")]

    assert told == [f'there is no target "{name}" for "globex"' for name in ("kb", "nobodys", "absent")]


def refused(tx: Transaction, name: str) -> str:
    with pytest.raises(NotFoundError) as caught:
        targets.require_use(tx, name, namespace="globex")
    return caught.value.message


def test_what_was_asked_for_before_a_target_was_assigned_elsewhere_is_not_done() -> None:
    store = MemoryStore()
    with store.note() as tx:
        tx.targets.add(target("postgresql://db/kb", None, "acme"))
    ports = Ports(store=store, blobs=None, clock=None, ids=None, keys=None, root_file=None)  # type: ignore[arg-type] # the store is all that is asked
    asked = Operation(
        "op-1", OperationKind.LOOK, "globex", "target/kb", LookWish("kb", Look.LIST).written(), NOW, "ann"
    )

    with pytest.raises(NotFoundError, match='there is no target "kb" for "globex"'):
        look(ports, SYSTEM, asked, bench=None)  # type: ignore[arg-type] # it ends before it connects


def test_a_stored_local_says_who_may_use_it() -> None:
    store = MemoryStore()
    with store.note() as tx:
        tx.targets.put(Target("local", "embedded", "embedded:", namespaces=("acme",)))

    with store.read() as tx:
        assert refused(tx, "local") == 'there is no target "local" for "globex"'
        assert [one.namespaces for one in targets.list_targets(tx)] == [("acme",)]


@pytest.mark.parametrize(
    ("grants", "seen"),
    [
        ((), []),
        ((Grant.of("acme", ["read"]),), ["local", "kb"]),
        ((Grant.of("globex", ["admin"]),), ["local"]),
        ((Grant.of("*", ["read"]),), ["local", "kb", "nobodys"]),
    ],
    ids=["nothing", "acme", "globex", "everywhere"],
)
def test_who_may_know_of_a_target(grants: tuple[Grant, ...], seen: list[str]) -> None:
    store = MemoryStore()
    with store.note() as tx:
        tx.targets.add(target("postgresql://db/kb", None, "acme"))
        tx.targets.add(Target("nobodys", "pgvector", "postgresql://db/kb"))
    actor = Actor("id", "name", grants)

    with store.read() as tx:
        found = [one.name for one in targets.list_targets(tx) if targets.is_visible(one, actor)]

    assert found == seen
