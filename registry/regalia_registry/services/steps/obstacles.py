"""What keeps a plan from being carried out as a whole; looked for before anything is made, and told at once."""

from collections.abc import Mapping

from regalia.core.errors import ConflictError
from regalia.core.kinds.snapshot import Embedding
from regalia.core.names import ArtifactName, Kind
from regalia_registry.domain.plans import MoveWish, Plan, Step
from regalia_registry.ports.serving import Serving
from regalia_registry.ports.vectors import EngineRight, Provider
from regalia_registry.services.context import Ports
from regalia_registry.services.steps.snapshots import open_snapshot

_RESOLVER = "let the application ask the registry where its collection is, and leave the alias out"


def require_possible(ports: Ports, wish: MoveWish, plan: Plan, providers: Mapping[str, Provider]) -> None:
    """Refuse a plan that could not be carried out whole, with all that is in the way.

    Raises:
        ConflictError: Something is.
    """
    reasons = list[str]()
    for step in plan.steps:
        reasons += _obstacles(ports, wish, step, providers[step.placing.target])
    if reasons:
        raise ConflictError(
            f"nothing was moved: {'; '.join(dict.fromkeys(reasons))}",
            hint="reg target check TARGET tells what a target can, reg channel set where a channel places what",
        )


def _obstacles(ports: Ports, wish: MoveWish, step: Step, provider: Provider) -> list[str]:
    target = step.placing.target
    if not isinstance(provider, Serving):
        return [f'a channel can\'t serve from "{target}", which holds files']
    if step.warm is not None and step.placing.alias is None:
        return []
    artifact = ArtifactName(wish.application.namespace, Kind.SNAPSHOT, step.member.name)
    snapshot = open_snapshot(ports, artifact, version=step.member.version)
    checked, reasons = provider.collections.check(), list[str]()
    if step.warm is None:
        if EngineRight.CREATE not in checked.rights:
            reasons.append(f'the credential of "{target}" may make no collection there')
        if checked.free_bytes is not None and checked.free_bytes < step.member.size_bytes:
            reasons.append(f'"{target}" has {checked.free_bytes:,} bytes left, {step.member.size_bytes:,} are needed')
    if step.placing.alias is not None:
        if not checked.aliases or EngineRight.ALIAS not in checked.rights:
            reasons.append(f'no alias can be set on "{target}" with its credential')
        schema = provider.collections.hosted(snapshot.schema).schema
        alias, shown = step.placing.alias, _shown_embedding(ports, wish, step)
        reasons += [f"{reason}: {_RESOLVER}" for reason in provider.aliases.refusals(alias, schema)]
        if shown is not None and shown != snapshot.config.embedding:
            reasons.append(f'"{alias}" shows vectors of {shown}, these are of {snapshot.config.embedding}: {_RESOLVER}')
    return reasons


def _shown_embedding(ports: Ports, wish: MoveWish, step: Step) -> Embedding | None:
    """Find which embedder made what the channel serves in this slot now."""
    with ports.store.read() as tx:
        current = tx.channels.find(wish.application, wish.channel)
        places = () if current is None else current.pointer.collections
        place = next((one for one in places if one.slot == step.member.slot), None)
        if place is None:
            return None
        stored = tx.artifacts.find_by_digest(wish.application.namespace, digest=place.snapshot)
    return None if stored is None else open_snapshot(ports, stored.artifact, version=stored.version).config.embedding
