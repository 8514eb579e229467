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
    targets = InstalledTargets(settings.data, local_port=settings.local_port)
    lease = Lease(timedelta(seconds=settings.lease_s))
    return Worker(make_ports(settings), targets, settings.data / _WORK, stopping, lease)
