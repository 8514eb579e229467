"""A sealed class outlives its server whole: its rows, and what its index knows of them."""

import signal
import struct
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from regalia_registry.adapters.memory.vectors import MemoryLedger
from regalia_registry.adapters.vectors.weaviate.provider import open_weaviate
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.rows import Row, encode_key, encode_properties
from regalia_registry.domain.snapshots.translation import translator
from tests.servers import weaviate
from tests.support.engines import SCHEMA

HOLDER = Holder("load", 1)


def row(number: int) -> Row:
    vector = struct.pack("<3f", 1.0, number / 100, 0.5)
    return Row(encode_key(UUID(int=number)), (("embedding", vector),), encode_properties({"body": f"row {number}"}))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_every_row_of_a_sealed_class_is_found_after_its_server_was(tmp_path: Path, number: signal.Signals) -> None:
    rows = [row(one) for one in range(1, 151)]
    with weaviate.running(tmp_path) as server:
        with closing(open_weaviate(server.url, holder=HOLDER)) as provider:
            hosted = provider.collections.hosted(SCHEMA)
            made = list(map(translator(SCHEMA, hosted), rows))
            provider.collections.create("Kb", hosted.schema, mark="ours")
            list(provider.sink.load("Kb", hosted.schema, [made], ledger=MemoryLedger()))
            provider.sink.build_index("Kb", hosted.schema)
            provider.seals.seal("Kb", mark="ours")

        server.stop(number)
        server.start()

        with closing(open_weaviate(server.url, holder=HOLDER)) as provider:
            with provider.source.open("Kb") as reading:
                found = [one for batch in reading.batches() for one in batch]
            assert sorted(found) == sorted(made)
            assert provider.sink.unreachable("Kb", [one.key for one in made]) == frozenset()
