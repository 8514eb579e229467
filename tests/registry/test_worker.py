"""A worker and its lease: who comes late commits nothing."""

import threading
from datetime import timedelta

import pytest

from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.domain.operations import GRACE, LEASE, Operation, OperationKind
from regalia_registry.services.context import Ports
from regalia_registry.worker import loop
from tests.support.records import NOW


def test_a_worker_whose_operation_was_taken_over_is_fenced_out_of_its_commit() -> None:
    store = MemoryStore()
    with store.note() as tx:
        tx.operations.add(Operation("op-1", OperationKind.SNAPSHOT, "acme", "snapshot/kb", {}, NOW, "ann"))
        late = tx.operations.claim(now=NOW, until=NOW + LEASE)
    assert late is not None
    ports = Ports(store=store, blobs=None, clock=None, ids=None, keys=None, root_file=None)  # type: ignore[arg-type] # the store is all that a fence asks
    hold = loop._Hold(ports, late, threading.Event())
    with store.note() as tx:
        hold.fence(tx)
        tx.operations.claim(now=NOW + LEASE + GRACE, until=NOW + timedelta(hours=1))

    with pytest.raises(loop._Ended), store.note() as tx:
        hold.fence(tx)
