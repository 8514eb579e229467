"""What a server can do that only pretends to be the target: it learns no password, and its words stay words."""

import pytest

from regalia.core.errors import AccessError
from regalia_registry.adapters.vectors.pgvector.connection import connect
from tests.servers.odd_postgres import asking_for_a_password, listening, refusing

SECRET = "hunter2"


@pytest.mark.parametrize("query", ["", "?sslmode=disable", "?sslmode=prefer"])
def test_a_password_is_not_sent_in_clear_to_a_server_that_proved_nothing(query: str) -> None:
    with (
        listening(asking_for_a_password()) as odd,
        pytest.raises(AccessError, match="cleartext password") as caught,
    ):
        connect(f"postgresql://a@127.0.0.1:{odd.port}/x{query}", password=SECRET)

    assert SECRET.encode() not in b"".join(odd.heard)
    assert "verify-full" in caught.value.hint


def test_the_workers_own_password_is_not_sent_to_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)

    with listening(asking_for_a_password()) as odd, pytest.raises(AccessError, match="no password supplied"):
        connect(f"postgresql://a@127.0.0.1:{odd.port}/x?require_auth=password", password=None)

    assert SECRET.encode() not in b"".join(odd.heard)


def test_a_servers_words_do_not_steer_a_terminal() -> None:
    words = "no authentication\x1b[2J\x1b]0;owned\x07\x9b2J \u202e" + "!" * 5000

    with listening(refusing(words)) as odd, pytest.raises(AccessError) as caught:
        connect(f"postgresql://a@127.0.0.1:{odd.port}/x")

    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1100
