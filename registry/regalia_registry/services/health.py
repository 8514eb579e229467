"""Whether the registry can do its work, dependency by dependency."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from regalia.core.digest import Digest
from regalia.core.errors import RegaliaError, UnavailableError
from regalia.core.trust import Role
from regalia_registry.domain.operations import OperationState
from regalia_registry.ports.store import Told
from regalia_registry.services.context import Ports
from regalia_registry.services.steps.trust import current_root

_WARN = (timedelta(days=3), timedelta(days=14), timedelta(days=30))
_PROBE = Digest.of(b"is there anybody?")
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_SILENT_S = 60.0


class State(StrEnum):
    """How a dependency is; without a failed one the registry can't do its work."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Found:
    """How a dependency is, and what is to be told of it."""

    state: State
    told: str = ""


def check_database(ports: Ports) -> Found:
    """Read: what can't be read can't be served."""
    try:
        with ports.store.read() as tx:
            tx.roots.newest()
    except UnavailableError as error:
        return Found(State.FAILED, error.message)
    return Found(State.OK)


def check_writing(ports: Ports) -> Found:
    """Write nothing, as a change would: where that is refused, reading goes on."""
    try:
        with ports.store.note(to=Told.NOBODY) as tx:
            tx.agents.forget(before=_LONG_AGO)
    except UnavailableError as error:
        return Found(State.DEGRADED, error.message)
    return Found(State.OK)


def check_blobs(ports: Ports) -> Found:
    """Ask for a blob that is not there; what was rendered before is served without any."""
    try:
        ports.blobs.stat(digest=_PROBE)
    except UnavailableError as error:
        return Found(State.DEGRADED, error.message)
    return Found(State.OK)


def check_trust(ports: Ports) -> Found:
    """Look for a root, for the key that it names for freshness, and when it ends."""
    try:
        with ports.store.read() as tx:
            if tx.roots.newest() is None:
                return Found(State.FAILED, "no trust root: reg init")
            root = current_root(tx).root
        delegation = root.delegation(Role.FRESHNESS)
        if len(ports.keys.freshness_signers(delegation.keyids)) < delegation.threshold:
            return Found(State.FAILED, "the data folder lacks the freshness key that the root names")
    except RegaliaError as error:
        return Found(State.FAILED, error.message)
    return _expiry(root.expires, ports.clock.now())


def check_worker(ports: Ports, *, beat: int | None) -> Found:
    """Say when the worker beside this process gave a sign, and whether operations wait for one that takes them.

    `beat` is the second in which it did, None where there is none here: then one of another host may be at work.
    """
    now = ports.clock.now()
    silent_s = None if beat is None else max(0.0, now.timestamp() - beat)
    if silent_s is not None and silent_s > _SILENT_S:
        return Found(State.DEGRADED, f"the worker gave no sign for {silent_s:.0f} s: see the registry's log")
    try:
        shared = ports.shared_now()
        with ports.store.read() as tx:
            opened = tx.operations.list_open()
    except UnavailableError as error:
        return Found(State.DEGRADED, error.message)
    queued = [one.created_at for one in opened if one.state is OperationState.QUEUED]
    is_at_work = any(one.lease_until is not None and one.lease_until > shared for one in opened)
    waited_s = max(((shared - since).total_seconds() for since in queued), default=0.0)
    if waited_s > _SILENT_S and not is_at_work:
        return Found(
            State.DEGRADED, f"{len(queued)} operations wait, one for {waited_s:.0f} s: is a reg worker running?"
        )
    return Found(
        State.OK, "none here; no operation waits for one" if silent_s is None else f"seen {silent_s:.0f} s ago"
    )


def _expiry(expires: datetime, now: datetime) -> Found:
    for margin in _WARN:
        if expires - now < margin:
            return Found(State.DEGRADED, f"the trust root expires in less than {margin.days} days: reg trust renew")
    return Found(State.OK)
