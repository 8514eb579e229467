"""Weaviate as channels serve from it: seals that a restart forgets, late writers, aliases that move under a reader."""

import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import grpc
import httpx
import pytest
from weaviate.proto.v1 import base_search_pb2, search_get_pb2, weaviate_pb2_grpc

from regalia.core.errors import AccessError, ConflictError, InvalidNameError, NotFoundError, UnavailableError
from regalia.core.kinds.snapshot import VectorSpace
from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.weaviate.connection import Connection
from regalia_registry.adapters.vectors.weaviate.grammar import parse_engine
from regalia_registry.adapters.vectors.weaviate.hosting import Told, hosted
from regalia_registry.adapters.vectors.weaviate.loading import Loader
from regalia_registry.adapters.vectors.weaviate.messages import ASK, Held
from regalia_registry.adapters.vectors.weaviate.provider import WeaviateProvider, open_weaviate
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.ports.vectors import EngineRight
from tests.servers import weaviate
from tests.servers.weaviate import Weaviate
from tests.snapshots.test_weaviate import answering, name_of, wide

KB, OTHER, COUNT, FLIPS, READERS = "Kb_a1b2c3d4", "Kb_e5f6g7h8", 50, 200, 4
HOLDER = Holder("test", 1)
LAZY = {"LAZY_LOAD_SHARD_COUNT_THRESHOLD": "0", "LAZY_LOAD_SHARD_SIZE_THRESHOLD_GB": "0"}


FILES = Schema(
    Family.FILES,
    Property("id", "uuid"),
    KeyKind.UUID,
    (VectorSpace("embedding", 3, "cosine"),),
    (Property("body", "text"),),
    {},
)


def schema_of(**properties: str) -> Schema:
    given = tuple(Property(name, kind) for name, kind in sorted({"body": "text", **properties}.items()))
    return hosted(replace(FILES, properties=given)).schema


SCHEMA, SHOWN = schema_of(), schema_of(score="int")
COSINE, DOT = VectorSpace("embedding", 3, "cosine"), VectorSpace("embedding", 3, "dot")
TITLE = VectorSpace("title", 3, "cosine")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weaviate]:
    with weaviate.running(tmp_path_factory.mktemp("weaviate")) as running:
        yield running


@pytest.fixture
def rest(server: Weaviate) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, timeout=60) as client:
        yield client


@pytest.fixture
def provider(server: Weaviate, rest: httpx.Client) -> Iterator[WeaviateProvider]:
    with closing(open_weaviate(server.url, holder=HOLDER)) as made:
        yield made
        for one in rest.get("/v1/aliases").json()["aliases"]:
            rest.delete(f"/v1/aliases/{one['alias']}")
        for one in rest.get("/v1/schema").json()["classes"]:
            rest.delete(f"/v1/schema/{one['class']}")


def rows(told: str, count: int = COUNT) -> list[Row]:
    return [
        Row(
            encode_key(name_of(number)),
            (("embedding", struct.pack("<3f", 1, number, 0)),),
            encode_properties({"body": f"{told} {number}"}),
        )
        for number in range(count)
    ]


def sealed(provider: WeaviateProvider, name: str = KB, told: str = "passage") -> str:
    provider.create(name, SCHEMA, mark="test")
    list(provider.load(name, SCHEMA, [rows(told)], ledger=MemoryLedger()))
    provider.build_index(name, SCHEMA)
    provider.seals.seal(name, mark="test")
    return marker(provider, name)


def marker(provider: WeaviateProvider, name: str = KB) -> str:
    standing = provider.seals.standing(name, mark="test")
    assert standing.sealed
    return standing.marker


def put(rest: httpx.Client, number: int, body: str, vector: tuple[float, ...] | None = None) -> httpx.Response:
    row = {
        "class": KB,
        "id": str(name_of(number)),
        "properties": {"body": body},
        "vectors": {"embedding": vector or (1, number, 0)},
    }
    return rest.post("/v1/batch/objects", json={"objects": [row]})


def remove(rest: httpx.Client, number: int) -> httpx.Response:
    return rest.delete(f"/v1/objects/{KB}/{name_of(number)}")


CHANGES: dict[str, Callable[[httpx.Client], object]] = {
    "insert": lambda rest: put(rest, COUNT, "late"),
    "the same row again": lambda rest: put(rest, 7, "passage 7"),
    "a vector alone": lambda rest: put(rest, 7, "passage 7", (1, 7, 1)),
    "a property alone": lambda rest: rest.patch(
        f"/v1/objects/{KB}/{name_of(7)}", json={"class": KB, "properties": {"body": "changed"}}
    ),
    "delete": lambda rest: remove(rest, 7),
    "delete, and the same row again": lambda rest: (remove(rest, 7), put(rest, 7, "passage 7")),
    "a row changed and another deleted": lambda rest: (put(rest, 7, "changed"), remove(rest, 8)),
    "a property that nobody has": lambda rest: rest.post(
        f"/v1/schema/{KB}/properties", json={"name": "late", "dataType": ["text"]}
    ),
}


@pytest.mark.parametrize("settings", [{}, LAZY], ids=["at once", "lazy"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_restart_opens_a_sealed_class_and_its_marker_says_that_nobody_wrote(
    tmp_path: Path, number: signal.Signals, settings: dict[str, str]
) -> None:
    with weaviate.running(tmp_path / "server", **settings) as server:
        with closing(open_weaviate(server.url, holder=HOLDER)) as provider:
            before = sealed(provider)
        server.stop(number)
        server.start()

        with (
            closing(open_weaviate(server.url, holder=HOLDER)) as provider,
            httpx.Client(base_url=server.origin, timeout=60) as rest,
        ):
            opened = provider.seals.standing(KB, mark="test")
            provider.seals.seal(KB, mark="test")

            assert (opened.sealed, opened.marker) == (False, before)
            assert marker(provider) == before
            assert "read-only" in put(rest, COUNT, "late").text


def test_a_server_that_is_killed_right_after_a_seal_has_lost_no_row_of_its_index(tmp_path: Path) -> None:
    names, loads = [f"Kb_{number}" for number in range(4)], wide(3000, dims=96)
    schema = hosted(replace(FILES, vectors=(VectorSpace("default", 96, "cosine"),))).schema
    with weaviate.running(tmp_path / "server") as server:
        with closing(open_weaviate(server.url, holder=HOLDER)) as provider:
            for name in names:
                provider.create(name, schema, mark="test")
                list(provider.load(name, schema, [loads], ledger=MemoryLedger()))
                provider.seals.seal(name, mark="test")
        server.stop(signal.SIGKILL)
        server.start()

        with closing(open_weaviate(server.url, holder=HOLDER)) as provider:
            for name in names:
                provider.seals.standing(name, mark="test")  # waits until its shards are open
            lost = [len(provider.unreachable(name, [row.key for row in loads])) for name in names]

    assert lost == [0, 0, 0, 0]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_written_while_the_seal_is_off_shows_in_the_marker(
    rest: httpx.Client, provider: WeaviateProvider, change: str
) -> None:
    before = sealed(provider)

    provider.seals.unseal(KB, mark="test")
    CHANGES[change](rest)
    provider.seals.seal(KB, mark="test")

    assert marker(provider) != before


def test_one_shard_of_three_that_somebody_opened_is_no_seal(rest: httpx.Client, provider: WeaviateProvider) -> None:
    told = Told("test", SCHEMA.engine, {"embedding": 3}).written()
    body = {"class": KB, "description": told, "vectorConfig": {"embedding": {"vectorizer": {"none": {}}}}}
    rest.post("/v1/schema", json={**body, "shardingConfig": {"desiredCount": 3}}).raise_for_status()
    provider.seals.seal(KB, mark="test")
    assert provider.seals.standing(KB, mark="test").sealed
    [shard, *others] = [one["name"] for one in rest.get(f"/v1/schema/{KB}/shards").json()]

    rest.put(f"/v1/schema/{KB}/shards/{shard}", json={"status": "READY"}).raise_for_status()

    assert len(others) == 2
    assert not provider.seals.standing(KB, mark="test").sealed
    with pytest.raises(ConflictError, match="is sealed"):
        list(provider.load(KB, SCHEMA, [rows("late")], ledger=MemoryLedger()))
    provider.seals.seal(KB, mark="test")
    assert provider.seals.standing(KB, mark="test").sealed


def test_an_index_that_was_waited_for_is_ready_when_it_is_sealed(provider: WeaviateProvider) -> None:
    sealed(provider)

    provider.build_index(KB, SCHEMA)

    assert provider.unreachable(KB, [row.key for row in rows("passage")]) == frozenset()


def test_a_batch_in_flight_is_stopped_and_what_it_left_stays(provider: WeaviateProvider, server: Weaviate) -> None:
    provider.create(KB, SCHEMA, mark="test")
    refused: list[ConflictError] = []
    held = Held(KB, parse_engine(SCHEMA.engine), SCHEMA.vectors, is_timed=True)

    def write() -> None:
        with closing(Connection(server.url, key=None)) as late:
            for n in range(1000):
                try:
                    Loader(late, held).insert(rows(f"late {n}", 500))  # as an application: it looks for no seal
                except ConflictError as error:
                    refused.append(error)
                    return

    writer = threading.Thread(target=write)
    writer.start()
    while not provider.list()[0].rows:
        time.sleep(0.01)
    provider.seals.seal(KB, mark="test")
    before = marker(provider)
    writer.join(60)

    assert "read-only" in refused[0].message
    assert marker(provider) == before


def test_a_server_that_is_away_seals_nothing(tmp_path: Path) -> None:
    with weaviate.running(tmp_path / "server") as server:
        with closing(open_weaviate(server.url, holder=HOLDER)) as provider:
            before = sealed(provider)
            server.stop(signal.SIGKILL)

            for ask in (provider.seals.seal, provider.seals.unseal, provider.seals.standing):
                with pytest.raises(UnavailableError):
                    ask(KB, mark="test")
            with pytest.raises(UnavailableError):
                provider.aliases.set("Docs", KB)

        server.start()
        with closing(open_weaviate(server.url, holder=HOLDER)) as provider:
            assert provider.seals.standing(KB, mark="test").marker == before
            assert provider.aliases.get("Docs") is None


def test_an_alias_is_no_name_of_a_class_of_ours(provider: WeaviateProvider) -> None:
    before = sealed(provider)
    provider.aliases.set("Docs", KB)

    for ask in (provider.seals.seal, provider.seals.unseal, provider.seals.standing):
        with pytest.raises(NotFoundError):
            ask("Docs", mark="test")
    assert not provider.drop("Docs", mark="test")
    with pytest.raises(ConflictError):
        provider.create("Docs", SCHEMA, mark="test")

    assert marker(provider) == before


def test_a_class_that_an_alias_leads_to_is_dropped_only_after_it(
    rest: httpx.Client, provider: WeaviateProvider
) -> None:
    sealed(provider)
    provider.aliases.set("docs", KB)

    with pytest.raises(ConflictError, match="something depends on it: the alias Docs"):
        provider.drop(KB, mark="test")

    assert rest.get("/v1/aliases/Docs").json()["class"] == KB
    assert provider.aliases.remove("Docs")
    assert provider.drop(KB, mark="test")


def test_an_alias_of_a_class_that_is_gone_is_ours_to_set_and_to_remove(
    rest: httpx.Client, provider: WeaviateProvider
) -> None:
    sealed(provider)
    sealed(provider, OTHER)
    provider.aliases.set("Docs", KB)

    rest.delete(f"/v1/schema/{KB}").raise_for_status()

    assert provider.aliases.get("Docs") == KB
    assert provider.aliases.refusals("Docs", SCHEMA) == ()
    provider.aliases.set("Docs", OTHER)
    assert provider.search("Docs", struct.pack("<3f", 1, 0, 0), space="embedding", limit=1)
    rest.delete(f"/v1/schema/{OTHER}").raise_for_status()
    assert provider.aliases.remove("Docs")
    assert rest.get("/v1/aliases/Docs").status_code == 404


def test_an_alias_of_somebody_elses_is_left_as_it_is(rest: httpx.Client, provider: WeaviateProvider) -> None:
    sealed(provider)
    rest.post("/v1/schema", json={"class": "Theirs"}).raise_for_status()
    rest.post("/v1/aliases", json={"alias": "Docs", "class": "Theirs"}).raise_for_status()
    aliases = provider.aliases

    for ask in (
        lambda: aliases.get("Docs"),
        lambda: aliases.get("docs"),
        lambda: aliases.set("Docs", KB),
        lambda: aliases.remove("Docs"),
        lambda: aliases.set("Mine", "Theirs"),
    ):
        with pytest.raises(ConflictError, match="not ours"):
            ask()

    assert aliases.refusals("Docs", SCHEMA) == ('the alias "Docs" leads to "Theirs", which is not ours',)
    assert rest.get("/v1/aliases").json()["aliases"] == [{"alias": "Docs", "class": "Theirs"}]


@pytest.mark.parametrize("alias", ["..", "a-b", "", "D" * 300, "Docs?x"])
def test_a_name_that_no_alias_has_is_refused_before_anything_is_asked(provider: WeaviateProvider, alias: str) -> None:
    assert provider.aliases.refusals(alias, SCHEMA)
    with pytest.raises(InvalidNameError):
        provider.aliases.set(alias, KB)


def changed(spaces: tuple[VectorSpace, ...] = SCHEMA.vectors, **engine: JsonValue) -> Schema:
    return replace(SHOWN, vectors=spaces, engine={**SHOWN.engine, **engine})


def vectors_of(*spaces: VectorSpace) -> JsonObject:
    return {one.name: {"index": "hnsw", "config": {"distance": one.metric}} for one in spaces}


def properties_of(kind: str = "int", **settings: bool) -> list[JsonValue]:
    return [{"name": "body", "dataType": ["text"], **settings}, {"name": "score", "dataType": [kind]}]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (SCHEMA, 'the property "score", which would be gone'),
        (changed(properties=properties_of("number")), '"score" is int, and would be number'),
        (changed(properties=properties_of(indexFilterable=False)), '"body" has indexFilterable, and would not'),
        (changed(properties=properties_of(indexSearchable=False)), '"body" has indexSearchable, and would not'),
        (changed((DOT,), vectors=vectors_of(DOT)), "3 dimensions by cosine, and would have 3 by dot"),
        (changed((COSINE, TITLE), vectors=vectors_of(COSINE, TITLE)), 'it shows no vector "title"'),
        (changed((TITLE,), vectors=vectors_of(TITLE)), 'the vector "embedding", which would be gone'),
        (changed(vectors=vectors_of(COSINE), unnamed=True), "its vector has a name"),
    ],
    ids=["a property less", "a type", "no filter", "no words", "a metric", "a vector more", "another", "no name"],
)
def test_what_a_reader_may_ask_for_stays_under_an_alias(provider: WeaviateProvider, wanted: Schema, told: str) -> None:
    provider.create(KB, SHOWN, mark="test")
    provider.aliases.set("Docs", KB)

    assert told in " ".join(provider.aliases.refusals("Docs", wanted))


def test_one_more_property_is_in_no_readers_way(provider: WeaviateProvider) -> None:
    provider.create(KB, SCHEMA, mark="test")
    provider.aliases.set("Docs", KB)

    assert provider.aliases.refusals("Docs", SHOWN) == ()


@pytest.mark.parametrize("alias", [KB, KB.upper(), KB.lower()])
def test_an_alias_that_is_a_class_but_for_its_case_is_refused(provider: WeaviateProvider, alias: str) -> None:
    provider.create(KB, SCHEMA, mark="test")

    assert provider.aliases.refusals(alias, SCHEMA) == (f'"{KB}" is a class: choose another alias',)


def test_a_server_that_has_no_aliases_is_a_refusal() -> None:
    with answering(b'{"version": "1.31.0"}') as url, closing(open_weaviate(url, holder=HOLDER)) as provider:
        assert provider.aliases.refusals("Docs", SCHEMA) == ("Weaviate 1.31.0 is too old",)


KEYED = {
    "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
    "AUTHENTICATION_APIKEY_ENABLED": "true",
    "AUTHENTICATION_APIKEY_ALLOWED_KEYS": "root,ours",
    "AUTHENTICATION_APIKEY_USERS": "root,ours",
    "AUTHORIZATION_RBAC_ENABLED": "true",
    "AUTHORIZATION_RBAC_ROOT_USERS": "root",
}
PERMISSIONS = [
    *({"action": f"{verb}_collections", "collections": {"collection": "*"}} for verb in ("create", "read", "delete")),
    *({"action": f"{verb}_data", "data": {"collection": "*"}} for verb in ("create", "read", "update", "delete")),
    *({"action": f"{verb}_aliases", "aliases": {"collection": "*"}} for verb in ("create", "read", "update", "delete")),
    {"action": "update_tenants", "tenants": {"collection": "*"}},
    {"action": "read_nodes", "nodes": {"verbosity": "verbose", "collection": "*"}},
]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weaviate]:
    with weaviate.running(tmp_path_factory.mktemp("keyed"), **KEYED) as running:
        yield running


@contextmanager
def allowed(keyed: Weaviate, *, without: str = "") -> Iterator[WeaviateProvider]:
    """Give a connection with all rights of our role but one."""
    granted = [one for one in PERMISSIONS if one["action"] != without]
    with httpx.Client(base_url=keyed.origin, headers={"authorization": "Bearer root"}, timeout=60) as root:
        root.post("/v1/authz/roles", json={"name": "ours", "permissions": granted}).raise_for_status()
        root.post("/v1/authz/users/ours/assign", json={"roles": ["ours"], "userType": "db"}).raise_for_status()
        with closing(open_weaviate(keyed.url, password="ours", holder=HOLDER)) as provider:
            yield provider
        for one in root.get("/v1/schema").json()["classes"]:
            root.delete(f"/v1/schema/{one['class']}")
        root.delete("/v1/authz/roles/ours").raise_for_status()


def test_the_rights_that_are_told_of_are_those_that_serving_takes(keyed: Weaviate) -> None:
    with allowed(keyed) as provider:
        checked = provider.check()
        sealed(provider)
        provider.aliases.set("Docs", KB)

        assert checked.rights == {EngineRight.READ, EngineRight.CREATE, EngineRight.ALIAS}
        assert checked.warnings == ()
        assert provider.aliases.remove("Docs")
        assert provider.drop(KB, mark="test")


@pytest.mark.parametrize("right", ["update_tenants", "read_nodes"])
def test_a_key_that_may_not_seal_is_told_by_a_check(keyed: Weaviate, right: str) -> None:
    with allowed(keyed, without=right) as provider:
        provider.create(KB, SCHEMA, mark="test")

        assert any("may not seal" in warning for warning in provider.check().warnings)
        with pytest.raises(AccessError):
            provider.seals.seal(KB, mark="test")


def test_a_key_that_may_not_move_an_alias_has_no_right_to_aliases(keyed: Weaviate) -> None:
    with allowed(keyed, without="update_aliases") as provider:
        assert EngineRight.ALIAS not in provider.check().rights


@dataclass(frozen=True)
class Page:
    """What a reader got through the alias, and when: the first words of its rows, how many, from which class."""

    began: float
    ended: float
    words: frozenset[str]
    rows: int


def read_until(over: threading.Event, port: int) -> list[Page]:
    pages = []
    request = ASK(
        collection="Docs",
        limit=COUNT,
        near_vector=base_search_pb2.NearVector(vector_bytes=struct.pack("<3f", 1, 0, 0)),
        properties=search_get_pb2.PropertiesRequest(non_ref_properties=["body"]),
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = weaviate_pb2_grpc.WeaviateStub(channel)  # type: ignore[no-untyped-call] # generated
        while not over.is_set():
            began = time.monotonic()
            found = stub.Search(request, timeout=30).results
            words = frozenset(one.properties.non_ref_props.fields["body"].text_value.split()[0] for one in found)
            pages.append(Page(began, time.monotonic(), words, len(found)))
    return pages


def test_whoever_reads_through_an_alias_while_it_moves_gets_whole_pages_of_one_class(
    server: Weaviate, provider: WeaviateProvider
) -> None:
    sealed(provider, KB, "one")
    sealed(provider, OTHER, "two")
    provider.aliases.set("Docs", KB)
    over, flips = threading.Event(), []

    with ThreadPoolExecutor(READERS) as readers:
        reading = [readers.submit(read_until, over, server.ports["grpc"]) for _ in range(READERS)]
        try:
            for number in range(FLIPS):
                began = time.monotonic()
                provider.aliases.set("Docs", (OTHER, KB)[number % 2])
                flips.append((began, time.monotonic(), frozenset({("two", "one")[number % 2]})))
        finally:
            over.set()
    pages = [page for one in reading for page in one.result()]

    stale = [
        page
        for (_, since, words), (until, _, _) in pairwise(flips)
        for page in pages
        if since <= page.began and page.ended <= until and page.words != words
    ]
    took = sorted(1000 * (ended - began) for began, ended, _ in flips)
    print(  # noqa: T201 # what an operator asks: for how long is it unknown which class answers
        f"\n{len(pages)} pages by {READERS} readers while an alias moved {FLIPS} times: a move took "
        f"{took[FLIPS // 2]:.1f} ms (p50), {took[-1]:.1f} ms at most"
    )
    assert stale == []
    assert {(page.words, page.rows) for page in pages} == {(frozenset({one}), COUNT) for one in ("one", "two")}
