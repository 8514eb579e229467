"""Rights, grants and tokens."""

import hashlib

import pytest

from regalia.core.errors import ForbiddenError, InvalidError, NotFoundError
from regalia_registry.domain.access import SYSTEM, Actor, Grant, Right, hash_token, make_token

READER = Actor("actor-1", "jane", (Grant.of("acme", ["read"]), Grant.of("globex", ["publish"])))
ADMIN = Actor("actor-2", "joe", (Grant.of("acme", ["admin"]),))
TOKEN = make_token(bytes(range(32)))


def test_a_right_that_is_granted_is_enough() -> None:
    READER.require(Right.READ, on="acme")


def test_another_right_is_forbidden_and_the_hint_says_how_to_get_it() -> None:
    with pytest.raises(ForbiddenError, match='this token may read in "acme", not promote') as caught:
        READER.require(Right.PROMOTE, on="acme")

    assert "reg token create --right promote --namespace acme" in caught.value.hint


def test_without_any_right_a_namespace_is_not_there() -> None:
    with pytest.raises(NotFoundError, match='there is no namespace "initech"'):
        READER.require(Right.READ, on="initech")


@pytest.mark.parametrize("right", list(Right))
def test_admin_implies_the_other_rights_in_its_namespace(right: Right) -> None:
    ADMIN.require(right, on="acme")


@pytest.mark.parametrize("right", list(Right))
def test_a_grant_on_all_namespaces_covers_each(right: Right) -> None:
    SYSTEM.require(right, on="acme")


def test_admin_of_one_namespace_is_not_admin_everywhere() -> None:
    with pytest.raises(ForbiddenError, match="admin on all namespaces"):
        ADMIN.require_admin()


def test_an_unknown_right_is_refused() -> None:
    with pytest.raises(InvalidError, match='"deploy" is no right'):
        Grant.of("acme", ["deploy"])


def test_a_token_is_stored_as_the_hash_of_its_text() -> None:
    assert hash_token(TOKEN) == hashlib.sha256(TOKEN.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    ["", TOKEN[:-1], f"{TOKEN}A", f"{TOKEN}\n", TOKEN.upper(), TOKEN.replace("rgl_", "ghp_"), f"{TOKEN[:-1]}é"],
    ids=["empty", "short", "long", "newline", "upper-case", "prefix", "not-ascii"],
)
def test_what_has_no_tokens_form_is_no_token(text: str) -> None:
    assert hash_token(text) is None
