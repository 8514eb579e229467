"""Adopting a collection in use: what it means first, then the move that binds it to its channel."""

from regalia.calls import channel_path
from regalia.client import Client
from regalia.core.names import Slot
from regalia.core.references import BundleReference
from regalia.core.strict_json import JsonObject
from regalia.core.values import frozen
from regalia.moving import Facts, MovePlan, plan_rebind, resume
from regalia.showing import require_adopted
from regalia.snapshotting import Tell, finish
from regalia.wire.answers import OperationEntry


@frozen
class Adopted:
    """A collection in use that a channel is to serve in a slot."""

    slot: Slot
    target: str
    collection: str


def plan_adoption(client: Client, channel: BundleReference, facts: Facts) -> MovePlan:
    """Plan to bind a channel's bundle anew; which collection is adopted is said to `adopt`."""
    return plan_rebind(client, channel, facts)


def adopt(client: Client, plan: MovePlan, adopted: Adopted, tell: Tell) -> MovePlan:
    """Let the worker adopt a collection; gives the plan with its places, to be signed.

    Raises:
        RegaliaError: It can't be adopted, and why.
        VerificationError: The registry would have more signed than that.
    """
    namespace = plan.channel.application.namespace
    found = finish(client, namespace, _ask_adoption(client, plan, adopted, is_plan=False), tell, until="prepared")
    prepared = resume(client, plan, found.id)
    require_adopted(prepared.pointer.collections, plan.places_now, adopted.slot, adopted.target)
    return prepared


def consequences(client: Client, plan: MovePlan, adopted: Adopted, tell: Tell) -> tuple[str, ...]:
    """Say what the applications of a collection can't do with it any more once it is adopted, and what instead.

    Raises:
        RegaliaError: It can't be adopted, and why.
    """
    asked = _ask_adoption(client, plan, adopted, is_plan=True)
    told = (finish(client, plan.channel.application.namespace, asked, tell).outcome or {}).get("consequences")
    return tuple(map(str, told)) if isinstance(told, list) else ()


def _ask_adoption(client: Client, plan: MovePlan, adopted: Adopted, *, is_plan: bool) -> OperationEntry:
    body: JsonObject = {
        "bundle": plan.target.digest,
        "slot": str(adopted.slot),
        "target": adopted.target,
        "collection": adopted.collection,
        "plan": is_plan,
    }
    return client.registry.send(OperationEntry, "POST", f"{channel_path(plan.channel)}/adoptions", body)
