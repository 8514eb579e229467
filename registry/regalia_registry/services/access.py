"""Tokens: who may enter."""

from contextlib import suppress
from datetime import datetime, timedelta

from regalia.core import times
from regalia.core.errors import ConflictError, InvalidError
from regalia.wire import answers
from regalia_registry.domain.access import SYSTEM, Grant, Right, hash_token, make_token
from regalia_registry.domain.entries import Event
from regalia_registry.domain.records import Token
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.steps.records import record
from regalia_registry.services.steps.trust import current_root

_SECRET = 32
_MAX_NAME = 128
_MAX_LIFE = timedelta(days=3650)


def create_token(
    ports: Ports, caller: Caller, *, name: str, grants: tuple[Grant, ...], life: timedelta | None
) -> answers.TokenMade:
    """Make a token; its secret is in the answer and nowhere else."""
    caller.actor.require_admin()
    if not 1 <= len(name) <= _MAX_NAME or not grants or any(not grant.rights for grant in grants):
        raise InvalidError(
            "a token needs a name and at least one right", hint="reg token create --name ci --right publish"
        )
    if life is not None and not timedelta() < life <= _MAX_LIFE:
        raise InvalidError("a token lives between a second and ten years", hint="--expires 365d, or --expires never")
    secret = make_token(ports.ids.secret(_SECRET))
    now = times.whole_second(ports.clock.now())
    token = Token(ports.ids.new(), name, hash_token(secret) or "", grants, now, None if life is None else now + life)
    with ports.store.write(caller.actor) as tx:
        tx.access.add(token)
        record(ports, caller, tx, Event("token.created", f"token/{token.id}", texts={"name": name}))
    return answers.TokenMade(_entry(token), secret)


def list_tokens(ports: Ports, caller: Caller, *, after: str | None, limit: int) -> list[answers.TokenEntry]:
    """List tokens, oldest first."""
    caller.actor.require_admin()
    with ports.store.read() as tx:
        return [_entry(token) for token in tx.access.list(after=after, limit=limit)]


def revoke_token(ports: Ports, caller: Caller, *, token_id: str) -> None:
    """End a token; it is refused from the next request on."""
    caller.actor.require_admin()
    with ports.store.write(caller.actor) as tx:
        tx.access.revoke(token_id, at=ports.clock.now())
        record(ports, caller, tx, Event("token.revoked", f"token/{token_id}"))


def who_am_i(ports: Ports, caller: Caller, *, server_version: str) -> answers.WhoAmI:
    """Tell a caller whom the registry takes it for, and what time it is there."""
    with ports.store.read() as tx:
        expires_at = tx.access.get(caller.actor.id).expires_at
        root = current_root(tx).root if tx.roots.newest() is not None else None
    return answers.WhoAmI(
        actor=caller.actor.id,
        name=caller.actor.name,
        grants=tuple(map(_grant, caller.actor.grants)),
        server_version=server_version,
        server_time=times.write(ports.clock.now()),
        trust_domain=None if root is None else root.trust_domain,
        root_version=None if root is None else root.version,
        expires_at=None if expires_at is None else times.write(expires_at),
    )


def take_in_admin_token(ports: Ports, secret_sha256: str) -> None:
    """Accept the admin token whose hash lies in the data folder, once."""
    with ports.store.read() as tx:
        if tx.access.find(secret_sha256) is not None:
            return
    now: datetime = times.whole_second(ports.clock.now())
    grants = (Grant("*", frozenset({Right.ADMIN})),)
    token = Token(ports.ids.new(), "admin of day one", secret_sha256, grants, now)
    with suppress(ConflictError), ports.store.write(SYSTEM) as tx:  # another replica may be first
        tx.access.add(token)
        record(ports, Caller(SYSTEM, ""), tx, Event("token.created", f"token/{token.id}", texts={"name": token.name}))


def _entry(token: Token) -> answers.TokenEntry:
    return answers.TokenEntry(
        id=token.id,
        name=token.name,
        grants=tuple(map(_grant, token.grants)),
        created_at=times.write(token.created_at),
        expires_at=None if token.expires_at is None else times.write(token.expires_at),
        revoked_at=None if token.revoked_at is None else times.write(token.revoked_at),
    )


def _grant(grant: Grant) -> answers.Grant:
    return answers.Grant(grant.namespace, tuple(sorted(grant.rights)))
