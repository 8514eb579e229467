"""What every store keeps about what happened."""

from regalia.core.names import ApplicationName
from regalia_registry.domain.entries import Entry, StoredEntry
from regalia_registry.ports.store import Store
from tests.support.records import ACTOR, APPLICATION, deployment, entry

OTHER = ApplicationName("acme", "search")


def record(store: Store, *entries: Entry) -> None:
    with store.write(ACTOR) as tx:
        for one in entries:
            tx.audit.record(one)


def ids(found: list[StoredEntry]) -> list[str]:
    return [one.id for one in found]


def deployed(store: Store, *, channel: str | None = None, after: str | None = None, limit: int = 10) -> list[str]:
    with store.read() as tx:
        return ids(list(tx.audit.deployments(APPLICATION, channel=channel, after=after, limit=limit)))


def test_an_entry_is_kept_as_its_final_bytes_with_its_texts_beside(store: Store) -> None:
    recorded = entry()

    record(store, recorded)

    with store.read() as tx:
        assert tx.audit.list(after=None, limit=10) == [StoredEntry(recorded.id, recorded.body(), {"name": "Jane"})]


def test_entries_come_in_pages_newest_first(store: Store) -> None:
    first, second, third = entry(), entry(), entry()
    record(store, first, second)
    record(store, third)

    with store.read() as tx:
        newest = tx.audit.list(after=None, limit=2)
        older = tx.audit.list(after=newest[-1].id, limit=2)

    assert ids([*newest, *older]) == [third.id, second.id, first.id]


def test_a_deployment_record_has_the_approvers_name_beside_it(store: Store) -> None:
    recorded = entry("channel.moved", record=deployment())

    record(store, recorded)

    with store.read() as tx:
        [found] = tx.audit.deployments(APPLICATION, channel=None, after=None, limit=10)
    assert found == StoredEntry(recorded.id, recorded.body(), {"name": "Jane", "approver": "joe@company.com"})


def test_deployments_are_those_of_the_application(store: Store) -> None:
    mine = entry(record=deployment())

    record(store, mine, entry(record=deployment(application=OTHER)), entry())

    assert deployed(store) == [mine.id]


def test_a_refused_move_is_a_deployment_too(store: Store) -> None:
    refused = entry("channel.refused", record=deployment(success=False))

    record(store, refused)

    assert deployed(store) == [refused.id]


def test_deployments_of_one_channel_can_be_asked_for(store: Store) -> None:
    prod, staging = entry(record=deployment("prod")), entry(record=deployment("staging"))

    record(store, prod, staging)

    assert deployed(store, channel="staging") == [staging.id]


def test_deployments_come_in_pages_newest_first(store: Store) -> None:
    first, second, third = (entry(record=deployment()) for _ in range(3))
    record(store, first, second, third)

    newest = deployed(store, limit=2)
    older = deployed(store, channel="prod", after=newest[-1], limit=2)

    assert [*newest, *older] == [third.id, second.id, first.id]
