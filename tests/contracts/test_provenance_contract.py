"""What every store keeps about how snapshots came to be."""

from dataclasses import replace
from datetime import timedelta

from regalia_registry.domain.provenance import Provenance
from regalia_registry.ports.store import Store
from tests.support.records import NOW, digest

MADE = Provenance(
    operation="op-1",
    kind="snapshot",
    target="prod",
    source="public.kb",
    provider="pgvector",
    engine="PostgreSQL 18.1, pgvector 0.8.1",
    consistency="point-in-time",
    started=NOW,
    finished=NOW + timedelta(seconds=9),
    writer="regalia 0.1.0",
)


def test_how_a_version_came_to_be_is_read_back(store: Store) -> None:
    untargeted = replace(MADE, target=None)
    with store.note() as tx:
        tx.provenance.add("acme", digest("kb"), MADE)
        tx.provenance.add("acme", digest("imported"), untargeted)

    with store.read() as tx:
        assert tx.provenance.find("acme", digest("kb")) == MADE
        assert tx.provenance.find("acme", digest("imported")) == untargeted


def test_what_was_told_first_stays(store: Store) -> None:
    with store.note() as tx:
        tx.provenance.add("acme", digest("kb"), MADE)
        tx.provenance.add("acme", digest("kb"), replace(MADE, operation="op-2"))

    with store.read() as tx:
        assert tx.provenance.find("acme", digest("kb")) == MADE


def test_another_namespaces_version_is_not_told(store: Store) -> None:
    with store.note() as tx:
        tx.provenance.add("acme", digest("kb"), MADE)

    with store.read() as tx:
        assert tx.provenance.find("globex", digest("kb")) is None
        assert tx.provenance.find("acme", digest("other")) is None
