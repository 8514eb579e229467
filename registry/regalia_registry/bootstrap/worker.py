"""What a worker is made of."""

import threading
from collections.abc import Callable
from datetime import timedelta

from regalia_registry.adapters.vectors.targets import InstalledTargets
from regalia_registry.bootstrap.ports import make_ports
from regalia_registry.domain.leases import Lease
from regalia_registry.domain.operations import Holder
from regalia_registry.ports.counting import Counts
from regalia_registry.services.reconciling import Reconciler
from regalia_registry.services.standby import Standby
from regalia_registry.settings import Settings
from regalia_registry.worker.background import Chore
from regalia_registry.worker.loop import Worker

_WORK = "work"
_RECONCILE_S = 5.0
_STANDBY_S = 15.0


def make_worker(
    settings: Settings,
    stopping: threading.Event,
    counts: Counts | None = None,
    on_rest: Callable[[], object] = lambda: None,
) -> Worker:
    """Build a worker on migrated storage; it counts in `counts`, if anywhere, and tells when it rests."""
    targets = InstalledTargets(settings.data, local_port=settings.local_port)
    lease = Lease(timedelta(seconds=settings.lease_s))
    ports = make_ports(settings, counts)
    reconciler = Reconciler(ports, targets, Holder(f"reconciler-{ports.ids.new()}", 1))
    chores = (
        Chore("reconciling", _RECONCILE_S, reconciler.run, reconciler.close),
        Chore("standby", _STANDBY_S, Standby(ports).run),
    )
    return Worker(ports, targets, settings.data / _WORK, stopping, lease, chores=chores, on_rest=on_rest)
