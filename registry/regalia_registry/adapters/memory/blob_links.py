"""Which namespace may see which blob, and which blobs are kept or removed, in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from regalia.core import times
from regalia.core.digest import Digest
from regalia_registry.adapters.memory.tables import Claim, Tables


class MemoryLinks:
    """A `BlobRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        """Keep the tables."""
        self._tables = tables

    def link(self, namespace: str, *, sizes: Mapping[Digest, int]) -> None:
        """Let the namespace see these blobs."""
        for digest, size_bytes in sizes.items():
            self._tables.blobs.setdefault((namespace, digest), size_bytes)

    def find_sizes(self, namespace: str, *, digests: Collection[Digest]) -> Mapping[Digest, int]:
        """Find which of these blobs the namespace may see."""
        blobs = self._tables.blobs
        return {digest: blobs[namespace, digest] for digest in digests if (namespace, digest) in blobs}

    def claim(self, *, digests: Collection[Digest], until: datetime) -> frozenset[Digest]:
        """Keep these until then, but for those that are being removed."""
        claims, end = self._tables.claims, times.whole_second(until)
        for digest in digests:
            there = claims.get(digest)
            if there is None or (there.operation is None and there.until < end):
                claims[digest] = Claim(end)
        return frozenset(digest for digest in digests if claims[digest].operation is not None)

    def find_claimed(self, *, digests: Collection[Digest], at: datetime) -> frozenset[Digest]:
        """Find which of these are kept at a time, or being removed."""
        return frozenset(digest for digest in digests if not self._is_free(digest, at))

    def take(self, *, digests: Collection[Digest], at: datetime, operation: str) -> frozenset[Digest]:
        """Take those that nobody keeps at a time, and let no namespace see them any more."""
        claims = self._tables.claims
        for digest in digests:
            if self._is_free(digest, at):
                claims[digest] = Claim(times.whole_second(at), operation)
        taken = frozenset(one for one in digests if one in claims and claims[one].operation == operation)
        for key in [key for key in self._tables.blobs if key[1] in taken]:
            del self._tables.blobs[key]
        return taken

    def taken(self, *, after: Digest | None, limit: int) -> Sequence[tuple[Digest, str]]:
        """List what is being removed, and by which operation."""
        found = [(one, claim.operation) for one, claim in sorted(self._tables.claims.items()) if claim.operation]
        return [one for one in found if after is None or one[0] > after][:limit]

    def forget(self, *, digests: Collection[Digest]) -> None:
        """Forget those that are removed."""
        for digest in digests:
            if digest in self._tables.claims and self._tables.claims[digest].operation is not None:
                del self._tables.claims[digest]

    def end_claims(self, *, at: datetime) -> None:
        """Forget the claims that are over."""
        for digest in [one for one in self._tables.claims if self._is_free(one, at)]:
            del self._tables.claims[digest]

    def _is_free(self, digest: Digest, at: datetime) -> bool:
        there = self._tables.claims.get(digest)
        return there is None or (there.operation is None and there.until <= times.whole_second(at))
