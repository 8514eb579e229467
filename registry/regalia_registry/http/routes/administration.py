"""The trust root, tokens, and the audit log."""

from datetime import timedelta
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

import regalia
from regalia.wire.answers import (
    AuditEntry,
    RootEntry,
    RootsStored,
    ServerKeys,
    SignedEntry,
    TokenEntry,
    TokenMade,
    WhoAmI,
)
from regalia.wire.resolution import decode
from regalia_registry.domain.access import Grant
from regalia_registry.http.dependencies import After, CurrentCaller, CurrentPorts, Limit
from regalia_registry.http.pages import Page, page_of
from regalia_registry.services import access, audit, trust

router = APIRouter(prefix="/v1", tags=["administration"])


class RootsIn(BaseModel):
    """New roots in order, and stored envelopes that gained signatures; all as base64."""

    model_config = ConfigDict(extra="forbid")

    roots: list[str] = Field(default_factory=list, max_length=8)
    envelopes: list[str] = Field(default_factory=list, max_length=10_000)
    compromised: bool = False


class GrantIn(BaseModel):
    """Rights on a namespace, or on all (`*`)."""

    model_config = ConfigDict(extra="forbid")

    namespace: str = Field(max_length=64)
    rights: list[str] = Field(min_length=1, max_length=4)


class TokenIn(BaseModel):
    """A token to make; without `expires_s` it has no end."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=128)
    grants: list[GrantIn] = Field(min_length=1, max_length=100)
    expires_s: int | None = Field(default=None, ge=1, le=315_360_000)


@router.get("/trust/roots/{number_or_digest}")
def get_root(number_or_digest: str, _caller: CurrentCaller, ports: CurrentPorts) -> RootEntry:
    """Get a root by version or by the digest of its payload."""
    return trust.get_root(ports, name=number_or_digest)


@router.get("/trust/server-keys")
def server_keys(_caller: CurrentCaller, ports: CurrentPorts) -> ServerKeys:
    """Get the public halves of the keys that the registry signs with."""
    return trust.server_keys(ports)


@router.post("/trust/roots", status_code=201)
def change_roots(sent: RootsIn, caller: CurrentCaller, ports: CurrentPorts) -> RootsStored:
    """Store new roots and added signatures, all or nothing."""
    change = trust.RootChange(
        roots=tuple(decode(root, what="a root") for root in sent.roots),
        envelopes=tuple(decode(envelope, what="an envelope") for envelope in sent.envelopes),
        compromised=sent.compromised,
    )
    return trust.change_roots(ports, caller, change)


@router.get("/trust/envelopes")
def list_envelopes(
    role: Literal["release", "channel"],
    caller: CurrentCaller,
    ports: CurrentPorts,
    after: After = None,
    limit: Limit = 50,
) -> Page[SignedEntry]:
    """List what a role's keys signed and a rotated key must sign too: release statements, or current pointers."""
    listed = trust.list_releases if role == "release" else trust.list_pointers
    found = listed(ports, caller, after=after, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.key)


@router.get("/whoami")
def who_am_i(caller: CurrentCaller, ports: CurrentPorts) -> WhoAmI:
    """Tell the caller whom the registry takes it for."""
    return access.who_am_i(ports, caller, server_version=regalia.__version__)


@router.get("/tokens")
def list_tokens(caller: CurrentCaller, ports: CurrentPorts, after: After = None, limit: Limit = 50) -> Page[TokenEntry]:
    """List tokens, oldest first."""
    found = access.list_tokens(ports, caller, after=after, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.id)


@router.post("/tokens", status_code=201)
def create_token(sent: TokenIn, caller: CurrentCaller, ports: CurrentPorts) -> TokenMade:
    """Make a token; its secret is shown this once."""
    grants = tuple(Grant.of(grant.namespace, grant.rights) for grant in sent.grants)
    life = None if sent.expires_s is None else timedelta(seconds=sent.expires_s)
    return access.create_token(ports, caller, name=sent.name, grants=grants, life=life)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: str, caller: CurrentCaller, ports: CurrentPorts) -> None:
    """End a token; it is refused from the next request on."""
    access.revoke_token(ports, caller, token_id=token_id)


@router.get("/audit")
def list_audit(caller: CurrentCaller, ports: CurrentPorts, after: After = None, limit: Limit = 50) -> Page[AuditEntry]:
    """List audit entries, newest first."""
    found = audit.list_audit(ports, caller, after=after, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.id)
