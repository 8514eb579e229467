"""A snapshot's rows on their way into an engine that holds them as another schema, and the root they have there."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from regalia.core.digest import Digest
from regalia.core.errors import DigestError
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row, Rows, row_digests
from regalia_registry.domain.snapshots.translation import Hosted, translator
from regalia_registry.segments.spool import RootSpool
from regalia_registry.services.steps.snapshots import OpenedSnapshot


def origin_of(snapshot: OpenedSnapshot, hosted: Hosted) -> Origin:
    """Name a snapshot to what is made from it, with what is not the same there."""
    config = snapshot.config
    kept = () if config.fidelity is None else (config.fidelity,)
    return Origin.of(f"{snapshot.stored.artifact}@{config.version}", config.content_root, kept + hosted.fidelity)


class Translated:
    """One pass over a snapshot: its own rows are hashed as they go in, and the translated ones as they come out."""

    def __init__(self, folder: Path, snapshot: OpenedSnapshot, hosted: Hosted) -> None:
        """Spool in `folder`, where both roots are taken: one is enough where nothing is translated.

        Raises:
            DocumentError: The one schema can't become the other.
        """
        self._snapshot = snapshot
        self._schema = hosted.schema
        self._translate = translator(snapshot.schema, hosted)
        self._taken = RootSpool(folder / "taken")
        self._translated = None if hosted.schema == snapshot.schema else RootSpool(folder / "translated")

    def rows(self, batches: Iterator[Sequence[Row]]) -> Iterator[Sequence[Row]]:
        """Translate the rows of the snapshot, which are read once and to their end."""
        for rows in batches:
            batch = Rows.of(rows)
            key_hashes = [sha256(key).digest() for key in batch.keys]
            self._taken.add(key_hashes, row_digests(batch))
            if self._translated is None:
                yield batch
                continue
            made = Rows.of(map(self._translate, batch))
            self._translated.add(key_hashes, row_digests(made))
            yield made

    def root(self) -> Digest:
        """Give the root that the engine's rows must have.

        Raises:
            DigestError: The rows that were read are not the snapshot's.
        """
        expected = self._snapshot.config.content_root
        found = self._taken.root(self._snapshot.schema.digest)
        if found != expected:
            raise DigestError(
                f"the rows hash to {found.short}, the snapshot says {expected.short}",
                hint="the snapshot is not what was taken: take it again, or restore the blobs from a backup",
            )
        return expected if self._translated is None else self._translated.root(self._schema.digest)
