"""Small blobs that answers carry with them: read once, kept in memory, and never waited for long."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock

from regalia.core.digest import Digest
from regalia.core.errors import UnavailableError
from regalia_registry.ports.blobs import BlobStore, read_blob
from regalia_registry.ports.system import Clock

_READERS = 8
_PATIENCE_S = 1.0
_SILENT_S = 5.0
_MAX_KEPT_BYTES = 32 * 1024 * 1024
_MAX_AWAITED = 256


class SmallBlobs:
    """Blobs in memory, of which there is one content each for ever; what is not there is asked for by threads.

    A store that was silent is not waited for until some seconds later: answers go without its blobs meanwhile.
    """

    def __init__(self, blobs: BlobStore, clock: Clock) -> None:
        """Start empty."""
        self._blobs = blobs
        self._clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._awaited: dict[Digest, Future[bytes]] = {}
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="inline")
        self._silent_until = 0.0

    def read(self, digests: Collection[Digest]) -> Mapping[Digest, bytes]:
        """Give those that are kept, or come within a second; the others may be there when they are asked for again.

        Raises:
            NotFoundError: A blob is gone.
            DigestError: A blob is damaged.
        """
        with self._lock:
            found = {digest: self._kept[digest] for digest in digests if digest in self._kept}
        missing = [digest for digest in digests if digest not in found]
        if not missing or self._clock.monotonic() < self._silent_until:
            return found
        with self._lock:
            asked = {digest: self._ask(digest) for digest in missing if len(self._awaited) < _MAX_AWAITED}
        done, _ = wait(asked.values(), timeout=_PATIENCE_S)
        for digest, future in asked.items():
            if future in done and not isinstance(future.exception(), UnavailableError):
                found[digest] = future.result()
        if len(found) < len(digests):
            self._silent_until = self._clock.monotonic() + _SILENT_S
        return found

    def _ask(self, digest: Digest) -> Future[bytes]:
        """Have a blob read, once for all who wait for it."""
        awaited = self._awaited.get(digest)
        if awaited is None:
            awaited = self._awaited[digest] = self._readers.submit(self._fetch, digest)
        return awaited

    def _fetch(self, digest: Digest) -> bytes:
        try:
            content = read_blob(self._blobs, digest)
            with self._lock:
                self._keep(digest, content)
            return content
        finally:
            with self._lock:
                self._awaited.pop(digest, None)

    def _keep(self, digest: Digest, content: bytes) -> None:
        self._kept_bytes += len(content) if digest not in self._kept else 0
        self._kept[digest] = content
        while self._kept_bytes > _MAX_KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)
