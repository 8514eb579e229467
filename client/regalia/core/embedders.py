"""The rule that binds a snapshot to its embedder: questions must be embedded as the passages were."""

from collections.abc import Collection

from regalia.core.errors import ConflictError
from regalia.core.kinds import Config
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.snapshot import SnapshotConfig


def check_embedders(members: Collection[Config]) -> None:
    """Refuse a bundle whose snapshot says an embedder that the bundle does not pin.

    Raises:
        ConflictError: It names both sides.
    """
    models = [one for one in members if isinstance(one, ModelConfig)]
    pinned = {(one.provider, one.model, one.revision) for one in models}
    for snapshot in members:
        if not isinstance(snapshot, SnapshotConfig) or snapshot.embedding is None:
            continue
        embedding = snapshot.embedding
        if (embedding.provider, embedding.model, embedding.revision) not in pinned:
            told = ", ".join(f"{one.name}: {one.provider}/{one.model}@{one.revision}" for one in models) or "no model"
            raise ConflictError(
                f'the snapshot "{snapshot.name}" was embedded by {embedding}; the bundle pins {told}',
                hint="pin that model in models/*, or take a snapshot of vectors that the pinned one made",
            )
