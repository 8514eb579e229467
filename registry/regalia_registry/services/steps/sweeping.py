"""Removing blobs that nothing links: marked from all manifests and open operations, taken, removed, forgotten."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from regalia.core.digest import Digest
from regalia.core.errors import InvalidNameError
from regalia.core.manifest import Manifest
from regalia.core.strict_json import JsonValue
from regalia_registry.domain.entries import Event
from regalia_registry.domain.operations import Operation
from regalia_registry.ports.store import Transaction
from regalia_registry.services.context import Bench, Caller, Ports
from regalia_registry.services.steps.records import record

_PAGE = 200
_STEP = "looking through files"


@dataclass(frozen=True, slots=True)
class Swept:
    """How many blobs were, or would be, removed, and their bytes."""

    blobs: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Swept") -> "Swept":
        """Count both."""
        return Swept(self.blobs + other.blobs, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One walk over all blobs, for one operation.

    Only what nobody claimed when the marking began is taken. A manifest that is added later claims what it links, in
    its own transaction: so it wins, or it finds its blobs gone and is refused.
    """

    ports: Ports
    caller: Caller
    bench: Bench

    def run(self, *, is_plan: bool) -> Swept:
        """Remove what nothing links, and what an operation before this one took and left; or count it."""
        swept = Swept() if is_plan else self._finish_others()
        began = self.ports.shared_now()
        with self.ports.store.read() as tx:
            linked = _linked(tx)
        walk = (one for one in self.ports.blobs.list() if one not in linked)
        for digests in _batches(walk):
            self.bench.tell({"step": _STEP, "found": swept.blobs})
            swept += self._free(digests, began) if is_plan else self._removed(digests, began)
        if not is_plan:
            with self.ports.store.note() as tx:
                self.bench.fence(tx)
                tx.blobs.end_claims(at=began)
        return swept

    def _free(self, digests: list[Digest], began: datetime) -> Swept:
        with self.ports.store.read() as tx:
            claimed = tx.blobs.find_claimed(digests=digests, at=began)
        sizes = [self.ports.blobs.stat(digest=one) or 0 for one in digests if one not in claimed]
        return Swept(len(sizes), sum(sizes))

    def _removed(self, digests: list[Digest], began: datetime) -> Swept:
        with self.ports.store.note() as tx:
            self.bench.fence(tx)
            taken = tx.blobs.take(digests=digests, at=began, operation=self.bench.holder.operation)
        return self._delete(sorted(taken))

    def _finish_others(self) -> Swept:
        """Remove what was taken by operations that are over, and by an earlier worker of this one."""
        swept, after = Swept(), None
        while True:
            with self.ports.store.read() as tx:
                page = tx.blobs.taken(after=after, limit=_PAGE)
                left = [digest for digest, operation in page if self._is_left(tx, operation)]
            swept += self._delete(left)
            if len(page) < _PAGE:
                return swept
            after = page[-1][0]

    def _is_left(self, tx: Transaction, operation: str) -> bool:
        return operation == self.bench.holder.operation or tx.operations.get(operation).state.is_over

    def _delete(self, taken: list[Digest]) -> Swept:
        """Delete what is taken, for as long as the operation is ours; then it may be stored again."""
        swept = Swept()
        for digest in taken:
            self.bench.tell({"step": _STEP})  # raises where the operation is not ours for long enough
            size_bytes = self.ports.blobs.stat(digest=digest)
            if size_bytes is not None:
                self.ports.blobs.delete(digest=digest)
                swept += Swept(1, size_bytes)
        if taken:
            with self.ports.store.write(self.caller.actor) as tx:
                self.bench.fence(tx)
                tx.blobs.forget(digests=taken)
                record(self.ports, self.caller, tx, Event("blobs.removed", f"operation/{self.bench.holder.operation}"))
        return swept


def _linked(tx: Transaction) -> set[Digest]:
    """Mark what manifests link, and what open operations name in what they were asked for and in their journals."""
    linked: set[Digest] = set()
    after = None
    while page := tx.artifacts.manifests(after=after, limit=_PAGE):
        for body in page.values():
            linked |= {descriptor.digest for descriptor in Manifest.parse(body).descriptors}
        after = max(page)
    for operation in tx.operations.list_open():
        linked |= set(_named(operation))
    return linked


def _named(operation: Operation) -> Iterator[Digest]:
    """Name all that reads like a digest, whatever the kind of operation: a stored segment, a file to import."""
    values: list[JsonValue] = [operation.request, operation.journal, operation.outcome]
    while values:
        match values.pop():
            case dict() as found:
                values.extend(found.values())
            case list() as found:
                values.extend(found)
            case str() as text:
                with suppress(InvalidNameError):
                    yield Digest.parse(text)
            case _:
                pass


def _batches(digests: Iterable[Digest]) -> Iterator[list[Digest]]:
    remaining = iter(digests)
    while batch := list(islice(remaining, _PAGE)):
        yield batch
