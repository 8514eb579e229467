"""What a worker is made of."""

import threading
from datetime import timedelta

from regalia_registry.adapters.vectors.targets import InstalledTargets
from regalia_registry.bootstrap.ports import make_ports
from regalia_registry.domain.leases import Lease
from regalia_registry.settings import Settings
from regalia_registry.worker.loop import Worker

_WORK = "work"


def make_worker(settings: Settings, stopping: threading.Event) -> Worker:
    """Build a worker on migrated storage."""
    return Worker(
        make_ports(settings),
        InstalledTargets(settings.data),
        settings.data / _WORK,
        stopping,
        Lease(timedelta(seconds=settings.lease_s)),
    )
