"""What every store keeps about tokens."""

from dataclasses import replace
from datetime import timedelta

import pytest

from regalia.core.errors import ConflictError, NotFoundError
from regalia_registry.domain.records import Token
from regalia_registry.ports.store import Store
from tests.support.records import NOW, changing, digest, token


def add(store: Store, *added: Token) -> None:
    with changing(store) as tx:
        for one in added:
            tx.access.add(one)


def revoke(store: Store, token_id: str, *, after_hours: int) -> None:
    with changing(store) as tx:
        tx.access.revoke(token_id, at=NOW + timedelta(hours=after_hours))


def test_a_token_is_found_by_the_hash_of_its_secret(store: Store) -> None:
    added = token(1, expires_at=NOW + timedelta(days=365))

    add(store, added, token(2))

    with store.read() as tx:
        assert (tx.access.find(added.secret_sha256), tx.access.get(added.id)) == (added, added)


def test_times_are_kept_in_whole_seconds(store: Store) -> None:
    part = timedelta(milliseconds=900)

    add(store, replace(token(1), created_at=NOW + part, expires_at=NOW + part, revoked_at=NOW + part))

    with store.read() as tx:
        assert tx.access.get("token-0001") == replace(token(1), expires_at=NOW, revoked_at=NOW)


def test_an_unknown_hash_finds_nothing(store: Store) -> None:
    add(store, token(1))

    with store.read() as tx:
        assert tx.access.find(digest("guessed").hex) is None


@pytest.mark.parametrize("again", [token(1, secret="other"), token(2, secret="1")], ids=["id", "secret"])
def test_an_id_or_secret_that_is_there_is_refused(store: Store, again: Token) -> None:
    add(store, token(1))

    with pytest.raises(ConflictError):
        add(store, again)


def test_tokens_come_in_pages_oldest_first(store: Store) -> None:
    add(store, token(3), token(1), token(2))

    with store.read() as tx:
        first = tx.access.list(after=None, limit=2)
        second = tx.access.list(after=first[-1].id, limit=2)

    assert [*first, *second] == [token(1), token(2), token(3)]


def test_a_revoked_token_is_kept_with_its_end(store: Store) -> None:
    add(store, token(1), token(2))

    revoke(store, "token-0001", after_hours=1)

    with store.read() as tx:
        found = tx.access.list(after=None, limit=10)
    assert found == [replace(token(1), revoked_at=NOW + timedelta(hours=1)), token(2)]


def test_a_token_that_has_ended_keeps_its_time(store: Store) -> None:
    add(store, token(1))
    revoke(store, "token-0001", after_hours=1)

    revoke(store, "token-0001", after_hours=2)

    with store.read() as tx:
        assert tx.access.get("token-0001").revoked_at == NOW + timedelta(hours=1)


def test_a_token_that_is_not_there_is_not_found(store: Store) -> None:
    with store.read() as tx, pytest.raises(NotFoundError, match='there is no token "token-0001"'):
        tx.access.get("token-0001")


def test_a_token_that_is_not_there_can_not_be_revoked(store: Store) -> None:
    with pytest.raises(NotFoundError):
        revoke(store, "token-0001", after_hours=1)
