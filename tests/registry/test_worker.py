"""A worker and its lease: who comes late commits nothing, and what came to no good end leaves nothing."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from regalia.core.errors import UnavailableError
from regalia.core.kinds.snapshot import VectorSpace
from regalia.core.strict_json import JsonObject
from regalia_registry.adapters.memory.blobs import MemoryBlobs
from regalia_registry.adapters.memory.store import MemoryStore
from regalia_registry.adapters.memory.system import MemoryClock, MemoryIds
from regalia_registry.adapters.memory.vectors import Held, MemoryReading, MemoryVectors
from regalia_registry.domain.leases import Lease, Patience
from regalia_registry.domain.operations import (
    Holder,
    LoadWish,
    Look,
    LookWish,
    Operation,
    OperationKind,
    OperationState,
    SnapshotWish,
    Target,
    Wish,
)
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.schema import Family, KeyKind, Property, Schema
from regalia_registry.services.context import Ports
from regalia_registry.worker.hold import Ended, Hold
from regalia_registry.worker.loop import Worker
from tests.support.records import NOW

LEASE = Lease()
SCHEMA = Schema(
    Family.FILES, Property("id", "int"), KeyKind.INTEGER, (VectorSpace("v", 1, "l2"),), (Property("text", "text"),), {}
)
