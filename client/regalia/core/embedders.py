"""The rule that binds a snapshot to its embedder: questions must be embedded as the passages were."""

from collections.abc import Collection, Sequence

from regalia.core.errors import ConflictError
from regalia.core.kinds import Config
from regalia.core.kinds.model import ModelConfig
from regalia.core.kinds.snapshot import SnapshotConfig


def check_embedders(members: Collection[Config]) -> None:
    """Refuse a bundle whose snapshot says an embedder that the bundle does not pin, or pins with other dimensions.

    How many dimensions a model makes is known where its parameters hold `dimensions`.

    Raises:
        ConflictError: It names both sides.
    """
    models = [one for one in members if isinstance(one, ModelConfig)]
    for snapshot in members:
        if not isinstance(snapshot, SnapshotConfig) or snapshot.embedding is None:
            continue
        embedding = snapshot.embedding
        named = (embedding.provider, embedding.model, embedding.revision)
        pinned = [one for one in models if (one.provider, one.model, one.revision) == named]
        if not pinned:
            told = ", ".join(f"{one.name}: {one.provider}/{one.model}@{one.revision}" for one in models) or "no model"
            raise ConflictError(
                f'the snapshot "{snapshot.name}" was embedded by {embedding}; the bundle pins {told}',
                hint="pin that model in models/*, or take a snapshot of vectors that the pinned one made",
            )
        _check_dimensions(snapshot, pinned)


def _check_dimensions(snapshot: SnapshotConfig, pinned: Sequence[ModelConfig]) -> None:
    """Compare what the pinned embedders are told to make with what the snapshot has."""
    there = {space.dims for space in snapshot.vectors}
    for model in pinned:
        made = (model.parameters or {}).get("dimensions")
        if isinstance(made, int) and not isinstance(made, bool) and made not in there:
            has = ", ".join(f"{space.name}: {space.dims}" for space in snapshot.vectors) or "none"
            raise ConflictError(
                f'the model "{model.name}" makes {made} dimensions; the vectors of "{snapshot.name}" have {has}',
                hint="set its parameter dimensions to what the snapshot has, or embed the passages again",
            )
