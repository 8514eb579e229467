"""Whether the registry can do its work, dependency by dependency."""

from datetime import datetime, timedelta

from regalia.core.digest import Digest
from regalia.core.errors import RegaliaError, UnavailableError
from regalia.core.trust import Role
from regalia_registry.services.context import Ports
from regalia_registry.services.steps.trust import current_root

_WARN = (timedelta(days=3), timedelta(days=14), timedelta(days=30))
_PROBE = Digest.of(b"is there anybody?")


def dependencies(ports: Ports) -> list[tuple[str, str, str]]:
    """Name each dependency with its state (`ok`, `degraded`, `failed`) and what is wrong with it."""
    return [_store(ports), _blobs(ports), _trust(ports)]


def _store(ports: Ports) -> tuple[str, str, str]:
    try:
        with ports.store.read() as tx:
            tx.roots.newest()
    except UnavailableError as error:
        return "store", "failed", error.message
    return "store", "ok", ""


def _blobs(ports: Ports) -> tuple[str, str, str]:
    try:
        ports.blobs.stat(digest=_PROBE)
    except UnavailableError as error:
        return "blobs", "failed", error.message
    return "blobs", "ok", ""


def _trust(ports: Ports) -> tuple[str, str, str]:
    try:
        with ports.store.read() as tx:
            if tx.roots.newest() is None:
                return "trust", "failed", "no trust root: reg init"
            root = current_root(tx).root
        delegation = root.delegation(Role.FRESHNESS)
        if len(ports.keys.freshness_signers(delegation.keyids)) < delegation.threshold:
            return "trust", "failed", "the data folder lacks the freshness key that the root names"
    except RegaliaError as error:
        return "trust", "failed", error.message
    return "trust", *_expiry(root.expires, ports.clock.now())


def _expiry(expires: datetime, now: datetime) -> tuple[str, str]:
    for margin in _WARN:
        if expires - now < margin:
            return "degraded", f"the trust root expires in less than {margin.days} days: reg trust renew"
    return "ok", ""
