"""Looking at a target: what answers there, which collections it has, what one is made of. Run by a worker."""

from collections.abc import Callable
from contextlib import closing

from regalia.core.strict_json import JsonObject, JsonValue
from regalia_registry.domain.access import Actor
from regalia_registry.domain.operations import Look, LookWish, Operation
from regalia_registry.ports.vectors import EngineRight, Provider
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.targets import require_use


def look(ports: Ports, actor: Actor, operation: Operation, bench: Bench) -> JsonObject:  # noqa: ARG001 # every doing is given who asked
    """Look once, and change nothing.

    Raises:
        UnavailableError: The target does not answer.
        NotFoundError: It has no such collection.
    """
    wish = LookWish.parse(operation.request)
    with ports.store.read() as tx:
        target = require_use(tx, wish.target, namespace=operation.namespace)
    bench.tell({"step": "connecting", "target": wish.target})
    with closing(bench.targets.connect(target, holder=bench.holder)) as provider:
        return _LOOKS[wish.what](provider, wish)


def _check(provider: Provider, wish: LookWish) -> JsonObject:
    found = provider.collections.check()
    rights: list[JsonValue] = [str(right) for right in EngineRight if right in found.rights]
    return {
        "target": wish.target,
        "version": found.version,
        "warnings": list(found.warnings),
        "rights": rights,
        "aliases": found.aliases,
        "size_bytes": found.size_bytes,
        "free_bytes": found.free_bytes,
    }


def _list(provider: Provider, wish: LookWish) -> JsonObject:
    rows: list[JsonValue] = [
        {"collection": one.name, "rows": one.rows, "ours": bool(one.mark)} for one in provider.collections.list()
    ]
    return {"target": wish.target, "collections": rows}


def _show(provider: Provider, wish: LookWish) -> JsonObject:
    found = provider.collections.describe(wish.collection)
    return {
        "target": wish.target,
        "collection": wish.collection,
        "family": str(found.schema.family),
        "key": f"{found.schema.key.name} {found.schema.key.type}",
        "vectors": [space.written() for space in found.schema.vectors],
        "properties": [f"{one.name} {one.type}" for one in found.schema.properties],
        "refusals": list(found.refusals),
        "fidelity": list(found.fidelity),
    }


_LOOKS: dict[Look, Callable[[Provider, LookWish], JsonObject]] = {
    Look.CHECK: _check,
    Look.LIST: _list,
    Look.SHOW: _show,
}
